CREATE TABLE runs (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  status TEXT NOT NULL,
  error TEXT NOT NULL,
  seed TEXT NOT NULL,
  file TEXT NOT NULL,
  document TEXT NOT NULL,
  overrides TEXT NOT NULL,
  version TEXT NOT NULL,
  started TEXT NOT NULL,
  seconds REAL NOT NULL,
  dir TEXT NOT NULL,
  store TEXT NOT NULL
);
CREATE INDEX runs_started ON runs (started);
CREATE TABLE stages (
  run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  id TEXT NOT NULL,
  kind TEXT NOT NULL,
  version INTEGER NOT NULL,
  status TEXT NOT NULL,
  cached INTEGER NOT NULL,
  seconds REAL NOT NULL,
  planned TEXT NOT NULL,
  reason TEXT NOT NULL,
  key TEXT NOT NULL,
  seed TEXT NOT NULL,
  summary TEXT NOT NULL,
  PRIMARY KEY (run, id)
) WITHOUT ROWID;
CREATE TABLE settings (
  run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  stage TEXT NOT NULL,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (run, stage, name)
) WITHOUT ROWID;
CREATE TABLE metrics (
  run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  stage TEXT NOT NULL,
  position INTEGER NOT NULL,
  name TEXT NOT NULL,
  value,
  PRIMARY KEY (run, stage, name)
) WITHOUT ROWID;
CREATE TABLE artifacts (
  run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  stage TEXT NOT NULL,
  position INTEGER NOT NULL,
  name TEXT NOT NULL,
  type TEXT NOT NULL,
  file TEXT NOT NULL,
  digest TEXT NOT NULL,
  size INTEGER NOT NULL,
  PRIMARY KEY (run, stage, name)
) WITHOUT ROWID;
CREATE INDEX artifacts_digest ON artifacts (digest);
CREATE TABLE sources (
  path TEXT PRIMARY KEY,
  size INTEGER NOT NULL,
  modified INTEGER NOT NULL
) WITHOUT ROWID;
