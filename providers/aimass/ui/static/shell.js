// Makes the pages one with Airflow's: its theme, its language, and links that leave the frame which Airflow shows us in.
"use strict";

(() => {
  const path = document.currentScript.dataset.path;
  const stored = (name) => {
    try {
      return window.localStorage.getItem(name);
    } catch {
      return null; // no storage in a sandboxed frame
    }
  };

  const theme = stored("theme");
  if (theme === "light" || theme === "dark") {
    document.documentElement.dataset.theme = theme;
    // A report has no script and no storage; it knows by the fragment how it is to look.
    document.addEventListener("DOMContentLoaded", () => {
      for (const frame of document.querySelectorAll("iframe.report")) frame.src = `${frame.src.split("#")[0]}#framed-${theme}`;
    });
  }

  const language = (stored("i18nextLng") || "").split("-")[0];
  const cookie = "aimass_airflow_language";
  if (language && !document.cookie.includes(`${cookie}=${language}`)) {
    document.cookie = `${cookie}=${language}; path=${path}; samesite=lax`;
    // The server answers in the new language, unless the reader has chosen one here. Once: where cookies are refused,
    // loading again would never end.
    if (document.cookie.includes(`${cookie}=${language}`) && document.documentElement.lang !== language) {
      window.location.reload();
    }
  }

  // Airflow may not be shown inside itself: such a link is clicked in the page around us.
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[data-airflow]");
    if (!link || window.parent === window || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const outside = window.parent.document.createElement("a");
    outside.href = link.href;
    window.parent.document.body.append(outside);
    outside.click();
    outside.remove();
  });
})();
