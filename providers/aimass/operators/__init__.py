"""One operator for each stage of the engine; all of them share `aimass.operators.stage.StageOperator`."""
