"""The arrows of the house: who may import whom."""

from __future__ import annotations

import re

from tests.architecture.source_tree import Import, Module, modules

# The rooms from the ground up: a module imports its own floor and the floors below. The first pattern that fits counts.
FLOORS = [
    ("the door", 3, r"aimass\.core\.__main__"),
    ("stages", 2, r"aimass\.core\.(stages|compute|testing)(\..+)?"),
    ("foundation", 0, r"aimass(\.core(\.[a-z_]+)?)?"),
    ("families", 1, r"aimass\.core\.[a-z_]+\..+"),
    ("the server", 3, r"aimass\.serving(\..+)?"),
    ("hooks", 4, r"aimass\.hooks(\..+)?"),
    ("operators", 5, r"aimass\.(operators|sensors|triggers|links|notifications|listeners)(\..+)?"),
    ("pipelines", 6, r"aimass\.pipelines(\..+)?"),
    ("pages", 7, r"aimass\.ui(\..+)?"),
    ("entry points", 7, r"aimass\.(cli|connection_types|get_provider_info)(\..+)?"),
    ("dags", 8, r"dags\..+"),
]
MODULES = {module.name: module for module in modules("providers", "dags")}
# What the registries point at: "aimass.core.<family>.<backend>:Class"; a family's package holds its registry.
BACKENDS = {
    address
    for module in MODULES.values()
    for address in re.findall(r'"(aimass\.core\.(?!stages\.)[a-z_.]+):[A-Za-z_]+"', module.source)
    if address not in MODULES or MODULES[address].path.stem != "__init__"
}


def floor(name: str) -> tuple[int, str]:
    """Return the height and the name of the floor on which a module lives."""
    is_family = name in MODULES and MODULES[name].path.stem == "__init__" and re.fullmatch(r"aimass\.core\.\w+", name)
    # A family's package holds its registry, and that knows the family's protocol.
    looked_up = f"{name}.base" if is_family and not name.endswith(("stages", "compute", "testing")) else name
    for room, height, pattern in FLOORS:
        if re.fullmatch(pattern, looked_up):
            return height, room
    raise AssertionError(f"{name} lives in no room that DESIGN knows: add the room to FLOORS or move the module")


def own_imports(module: Module) -> list[tuple[Import, str]]:
    """Return each import of one of our modules, with the module's name (not the name imported from it)."""
    found = []
    for item in module.imports:
        target = item.name if item.name in MODULES else item.name.rpartition(".")[0]
        if target in MODULES and not item.for_types:
            found.append((item, target))
    return found


def test_arrows_go_down() -> None:
    wrong = [
        f"{module.label}:{item.line} imports {target}: {floor(target)[1]} stand above {floor(name)[1]}"
        for name, module in MODULES.items()
        for item, target in own_imports(module)
        if floor(target)[0] > floor(name)[0]
    ]
    assert not wrong, "\n".join(wrong)


def test_registries_name_existing_modules() -> None:
    assert not BACKENDS - MODULES.keys()
    assert BACKENDS, "no registry address was found: the pattern in this test no longer fits"


def test_backends_are_reached_by_registry_only() -> None:
    """Neither a stage nor a sibling imports a backend: its name in a registry is the only way to it."""
    wrong = [
        f"{module.label}:{item.line} imports the backend {target}; ask its registry for the name"
        for name, module in MODULES.items()
        for item, target in own_imports(module)
        if target in BACKENDS and target != name and not name.startswith("aimass.core.testing")
    ]
    assert not wrong, "\n".join(wrong)


def test_dag_files_never_import_core() -> None:
    dags = [module for name, module in MODULES.items() if name.startswith("dags.")]
    wrong = [f"{dag.label}: {target}" for dag in dags for _, target in own_imports(dag) if "aimass.core" in target]
    assert not wrong


def test_core_never_imports_airflow() -> None:
    wrong = [
        f"{module.label}:{item.line} imports {item.name}"
        for name, module in MODULES.items()
        for item in module.imports
        if name.startswith("aimass.core") and item.name.split(".")[0] == "airflow"
    ]
    assert not wrong, "\n".join(wrong)
