-- Made by `python -m tidegate.ledger.ddl`; tables, views and a small test data set for sqlite.

CREATE TABLE ledger_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT ledger_version_pkc PRIMARY KEY (version_num)
);

-- Running upgrade  -> 0001

CREATE TABLE ledger_row (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    "key" VARCHAR(64) NOT NULL,
    attempt INTEGER NOT NULL,
    step VARCHAR(63) NOT NULL,
    state VARCHAR(16) NOT NULL,
    pipeline VARCHAR(250) NOT NULL,
    run_id VARCHAR(250) NOT NULL,
    task_id VARCHAR(250) NOT NULL,
    map_index INTEGER NOT NULL,
    try_number INTEGER NOT NULL,
    holder VARCHAR(64) NOT NULL,
    lease_expires DATETIME,
    datetime_started DATETIME NOT NULL,
    datetime_finished DATETIME,
    image VARCHAR(1024) NOT NULL,
    params TEXT NOT NULL,
    inputs TEXT NOT NULL,
    parts TEXT NOT NULL,
    outputs TEXT NOT NULL,
    metrics TEXT NOT NULL,
    summary TEXT NOT NULL,
    output_path VARCHAR(2048) NOT NULL,
    reason VARCHAR(32) NOT NULL,
    detail TEXT NOT NULL,
    pod VARCHAR(253) NOT NULL,
    node VARCHAR(253) NOT NULL,
    exit_reason VARCHAR(64) NOT NULL,
    message TEXT NOT NULL,
    peak_memory_bytes BIGINT,
    cpu_seconds DOUBLE,
    log_url VARCHAR(2048) NOT NULL,
    ttl_seconds DOUBLE,
    CONSTRAINT uq_ledger_row_key_attempt UNIQUE ("key", attempt)
);

CREATE INDEX ix_ledger_row_step ON ledger_row (step, id);

CREATE INDEX ix_ledger_row_pipeline ON ledger_row (pipeline, id);

CREATE INDEX ix_ledger_row_state ON ledger_row (state, lease_expires);

CREATE TABLE ledger_use (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    pipeline VARCHAR(250) NOT NULL,
    run_id VARCHAR(250) NOT NULL,
    task_id VARCHAR(250) NOT NULL,
    map_index INTEGER NOT NULL,
    try_number INTEGER NOT NULL,
    holder VARCHAR(64) NOT NULL,
    row_id INTEGER NOT NULL,
    verdict VARCHAR(16) NOT NULL,
    run_params TEXT NOT NULL,
    datetime_decided DATETIME NOT NULL,
    CONSTRAINT uq_ledger_use_holder UNIQUE (holder),
    CONSTRAINT fk_ledger_use_row FOREIGN KEY(row_id) REFERENCES ledger_row (id) ON DELETE CASCADE
);

CREATE INDEX ix_ledger_use_row ON ledger_use (row_id);

CREATE INDEX ix_ledger_use_task ON ledger_use (pipeline, task_id, id);

CREATE TABLE ledger_admission (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    pipeline VARCHAR(250) NOT NULL,
    run_id VARCHAR(250) NOT NULL,
    task_id VARCHAR(250) NOT NULL,
    map_index INTEGER NOT NULL,
    try_number INTEGER NOT NULL,
    holder VARCHAR(64) NOT NULL,
    lease_expires DATETIME NOT NULL,
    datetime_asked DATETIME NOT NULL,
    datetime_admitted DATETIME,
    CONSTRAINT uq_ledger_admission_holder UNIQUE (holder)
);

CREATE TABLE ledger_gate (
    name VARCHAR(32) NOT NULL,
    turn BIGINT NOT NULL,
    PRIMARY KEY (name)
);

INSERT INTO ledger_gate (name, turn) VALUES ('admission', 0);

DROP VIEW IF EXISTS testing_task_2;

DROP VIEW IF EXISTS testing_task_1;

DROP VIEW IF EXISTS training_task_1;

DROP VIEW IF EXISTS common_task_2;

DROP VIEW IF EXISTS common_task_1;

DROP VIEW IF EXISTS ml_testing_dag;

DROP VIEW IF EXISTS ml_training_dag;

DROP VIEW IF EXISTS ml_dag;

CREATE VIEW ml_dag AS
SELECT MIN(u.id) AS id, MIN(u.datetime_decided) AS datetime_created, CAST(json_extract(u.run_params, '$.parameter_1') AS TEXT) AS parameter_1
FROM ledger_use u
WHERE u.pipeline IN ('ml_training_dag', 'ml_testing_dag') AND CAST(json_extract(u.run_params, '$.parameter_1') AS TEXT) IS NOT NULL
GROUP BY CAST(json_extract(u.run_params, '$.parameter_1') AS TEXT);

CREATE VIEW ml_training_dag AS
SELECT MIN(u.id) AS id, d.id AS ml_dag_id, CAST(json_extract(u.run_params, '$.parameter_2') AS TEXT) AS parameter_2, MIN(u.datetime_decided) AS datetime_created
FROM ledger_use u JOIN ml_dag d ON d.parameter_1 = CAST(json_extract(u.run_params, '$.parameter_1') AS TEXT)
WHERE u.pipeline = 'ml_training_dag' AND CAST(json_extract(u.run_params, '$.parameter_2') AS TEXT) IS NOT NULL
GROUP BY d.id, CAST(json_extract(u.run_params, '$.parameter_2') AS TEXT);

CREATE VIEW ml_testing_dag AS
SELECT MIN(u.id) AS id, d.id AS ml_dag_id, CAST(json_extract(u.run_params, '$.parameter_3') AS TEXT) AS parameter_3, MIN(u.datetime_decided) AS datetime_created
FROM ledger_use u JOIN ml_dag d ON d.parameter_1 = CAST(json_extract(u.run_params, '$.parameter_1') AS TEXT)
WHERE u.pipeline = 'ml_testing_dag' AND CAST(json_extract(u.run_params, '$.parameter_3') AS TEXT) IS NOT NULL
GROUP BY d.id, CAST(json_extract(u.run_params, '$.parameter_3') AS TEXT);

CREATE VIEW common_task_1 AS
SELECT l.id AS id, d.id AS ml_dag_id, r.datetime_started AS datetime_started,
  CASE WHEN r.state = 'succeeded' THEN r.datetime_finished END AS datetime_finished, r.output_path AS output_path
FROM ml_dag d
JOIN (SELECT CAST(json_extract(u.run_params, '$.parameter_1') AS TEXT) AS parameter_1, MAX(u.id) AS id FROM ledger_use u
  WHERE u.task_id = 'common_task_1' AND u.pipeline IN ('ml_training_dag', 'ml_testing_dag') GROUP BY CAST(json_extract(u.run_params, '$.parameter_1') AS TEXT)) n
  ON n.parameter_1 = d.parameter_1
JOIN ledger_use l ON l.id = n.id
JOIN ledger_row r ON r.id = l.row_id;

CREATE VIEW common_task_2 AS
SELECT l.id AS id, d.id AS ml_dag_id, r.datetime_started AS datetime_started,
  CASE WHEN r.state = 'succeeded' THEN r.datetime_finished END AS datetime_finished, r.output_path AS output_path
FROM ml_dag d
JOIN (SELECT CAST(json_extract(u.run_params, '$.parameter_1') AS TEXT) AS parameter_1, MAX(u.id) AS id FROM ledger_use u
  WHERE u.task_id = 'common_task_2' AND u.pipeline IN ('ml_training_dag', 'ml_testing_dag') GROUP BY CAST(json_extract(u.run_params, '$.parameter_1') AS TEXT)) n
  ON n.parameter_1 = d.parameter_1
JOIN ledger_use l ON l.id = n.id
JOIN ledger_row r ON r.id = l.row_id;

CREATE VIEW training_task_1 AS
SELECT l.id AS id, d.id AS ml_dag_id, r.datetime_started AS datetime_started,
  CASE WHEN r.state = 'succeeded' THEN r.datetime_finished END AS datetime_finished, r.output_path AS output_path
FROM ml_dag d
JOIN (SELECT CAST(json_extract(u.run_params, '$.parameter_1') AS TEXT) AS parameter_1, MAX(u.id) AS id FROM ledger_use u
  WHERE u.task_id = 'training_task_1' AND u.pipeline IN ('ml_training_dag') GROUP BY CAST(json_extract(u.run_params, '$.parameter_1') AS TEXT)) n
  ON n.parameter_1 = d.parameter_1
JOIN ledger_use l ON l.id = n.id
JOIN ledger_row r ON r.id = l.row_id;

CREATE VIEW testing_task_1 AS
SELECT l.id AS id, d.id AS ml_dag_id, r.datetime_started AS datetime_started,
  CASE WHEN r.state = 'succeeded' THEN r.datetime_finished END AS datetime_finished, r.output_path AS output_path
FROM ml_dag d
JOIN (SELECT CAST(json_extract(u.run_params, '$.parameter_1') AS TEXT) AS parameter_1, MAX(u.id) AS id FROM ledger_use u
  WHERE u.task_id = 'testing_task_1' AND u.pipeline IN ('ml_testing_dag') GROUP BY CAST(json_extract(u.run_params, '$.parameter_1') AS TEXT)) n
  ON n.parameter_1 = d.parameter_1
JOIN ledger_use l ON l.id = n.id
JOIN ledger_row r ON r.id = l.row_id;

CREATE VIEW testing_task_2 AS
SELECT l.id AS id, d.id AS ml_dag_id, r.datetime_started AS datetime_started,
  CASE WHEN r.state = 'succeeded' THEN r.datetime_finished END AS datetime_finished, r.output_path AS output_path
FROM ml_dag d
JOIN (SELECT CAST(json_extract(u.run_params, '$.parameter_1') AS TEXT) AS parameter_1, MAX(u.id) AS id FROM ledger_use u
  WHERE u.task_id = 'testing_task_2' AND u.pipeline IN ('ml_testing_dag') GROUP BY CAST(json_extract(u.run_params, '$.parameter_1') AS TEXT)) n
  ON n.parameter_1 = d.parameter_1
JOIN ledger_use l ON l.id = n.id
JOIN ledger_row r ON r.id = l.row_id;

INSERT INTO ledger_version (version_num) VALUES ('0001') RETURNING version_num;

-- Running upgrade 0001 -> 0002

ALTER TABLE ledger_row ADD COLUMN extra TEXT;

UPDATE ledger_version SET version_num='0002' WHERE ledger_version.version_num = '0001';

INSERT INTO ledger_row (id, "key", attempt, step, state, pipeline, run_id, task_id, map_index, try_number, holder, lease_expires, datetime_started, datetime_finished, image, params, inputs, parts, outputs, metrics, summary, output_path, reason, detail, pod, node, exit_reason, message, log_url, ttl_seconds) VALUES (1, '47959548ef6f798ef0eb4ee4febe1e6d951cfdd79871f98a4957e5580c2f829d', 1, 'run_command', 'succeeded', 'ml_training_dag', 'manual__2026-01-01T12:00:00+00:00', 'common_task_1', -1, 1, 'b479301b4687f6eec1e56f8155dafc97ed75b21e3b0357c242704e6597a772ea', NULL, '2026-01-01 12:01:00.000000', '2026-01-01 12:01:30.000000', 'tag:run_command:0123456789ab', '{"command":"common_task_1","parameter_1":"test_parameter_1"}', '{}', '{"contract":1,"image":"tag:run_command:0123456789ab","inputs":{},"output":"s3://tidegate/tasks/common_task_1/test_parameter_1","params":{"command":"common_task_1","parameter_1":"test_parameter_1"},"secrets":{},"step":"run_command","time":""}', '[{"etag":"sample-1","name":"output","sha256":"0000000000000000000000000000000000000000000000000000000000000000","size":3,"url":"s3://tidegate/tasks/common_task_1/test_parameter_1/output.txt"}]', '{"score":0.5}', 'sample', 's3://tidegate/tasks/common_task_1/test_parameter_1', 'new', '', '', '', '', '', '', NULL);

INSERT INTO ledger_row (id, "key", attempt, step, state, pipeline, run_id, task_id, map_index, try_number, holder, lease_expires, datetime_started, datetime_finished, image, params, inputs, parts, outputs, metrics, summary, output_path, reason, detail, pod, node, exit_reason, message, log_url, ttl_seconds) VALUES (2, 'fc3cf36b8fe79857a15d247d0f9dc1d36ff895e5ea2f9413402247ef5c9ff133', 1, 'run_command', 'succeeded', 'ml_training_dag', 'manual__2026-01-01T12:00:00+00:00', 'common_task_2', -1, 1, '2714e37f93d021714ce3147f3723847bcdc1106b72fff78650151e2c0169da88', NULL, '2026-01-01 12:02:00.000000', '2026-01-01 12:02:30.000000', 'tag:run_command:0123456789ab', '{"command":"common_task_2","parameter_1":"test_parameter_1"}', '{}', '{"contract":1,"image":"tag:run_command:0123456789ab","inputs":{},"output":"s3://tidegate/tasks/common_task_2/test_parameter_1","params":{"command":"common_task_2","parameter_1":"test_parameter_1"},"secrets":{},"step":"run_command","time":""}', '[{"etag":"sample-2","name":"output","sha256":"0000000000000000000000000000000000000000000000000000000000000000","size":3,"url":"s3://tidegate/tasks/common_task_2/test_parameter_1/output.txt"}]', '{"score":0.5}', 'sample', 's3://tidegate/tasks/common_task_2/test_parameter_1', 'new', '', '', '', '', '', '', NULL);

INSERT INTO ledger_row (id, "key", attempt, step, state, pipeline, run_id, task_id, map_index, try_number, holder, lease_expires, datetime_started, datetime_finished, image, params, inputs, parts, outputs, metrics, summary, output_path, reason, detail, pod, node, exit_reason, message, log_url, ttl_seconds) VALUES (3, '8fe659948b12eb6248febf048bdd8fd52cfb3c8f5bc288df4c8694f8d3541471', 1, 'run_command', 'succeeded', 'ml_training_dag', 'manual__2026-01-01T12:00:00+00:00', 'training_task_1', -1, 1, 'dd1645ba92d5dddf4d7c52085c13edd213ee1a50ce5595262e8b9967c068129e', NULL, '2026-01-01 12:03:00.000000', '2026-01-01 12:03:30.000000', 'tag:run_command:0123456789ab', '{"command":"training_task_1","parameter_1":"test_parameter_1","parameter_2":"test_parameter_2"}', '{}', '{"contract":1,"image":"tag:run_command:0123456789ab","inputs":{},"output":"s3://tidegate/tasks/training_task_1/test_parameter_1/test_parameter_2","params":{"command":"training_task_1","parameter_1":"test_parameter_1","parameter_2":"test_parameter_2"},"secrets":{},"step":"run_command","time":""}', '[{"etag":"sample-3","name":"output","sha256":"0000000000000000000000000000000000000000000000000000000000000000","size":3,"url":"s3://tidegate/tasks/training_task_1/test_parameter_1/test_parameter_2/output.txt"}]', '{"score":0.5}', 'sample', 's3://tidegate/tasks/training_task_1/test_parameter_1/test_parameter_2', 'new', '', '', '', '', '', '', NULL);

INSERT INTO ledger_row (id, "key", attempt, step, state, pipeline, run_id, task_id, map_index, try_number, holder, lease_expires, datetime_started, datetime_finished, image, params, inputs, parts, outputs, metrics, summary, output_path, reason, detail, pod, node, exit_reason, message, log_url, ttl_seconds) VALUES (4, 'acab035ddd549b6b916aab100afd6f517ef66ba39904d4bb484de60bdd133d6e', 1, 'run_command', 'succeeded', 'ml_testing_dag', 'manual__2026-01-01T12:00:00+00:00', 'testing_task_1', -1, 1, 'ef461583158da206692f88bbf6baeecbe3ef56a2bd871dc1f50b28dd47d35685', NULL, '2026-01-01 12:04:00.000000', '2026-01-01 12:04:30.000000', 'tag:run_command:0123456789ab', '{"command":"testing_task_1","parameter_1":"test_parameter_1","parameter_3":"test_parameter_3"}', '{}', '{"contract":1,"image":"tag:run_command:0123456789ab","inputs":{},"output":"s3://tidegate/tasks/testing_task_1/test_parameter_1/test_parameter_3","params":{"command":"testing_task_1","parameter_1":"test_parameter_1","parameter_3":"test_parameter_3"},"secrets":{},"step":"run_command","time":""}', '[{"etag":"sample-4","name":"output","sha256":"0000000000000000000000000000000000000000000000000000000000000000","size":3,"url":"s3://tidegate/tasks/testing_task_1/test_parameter_1/test_parameter_3/output.txt"}]', '{"score":0.5}', 'sample', 's3://tidegate/tasks/testing_task_1/test_parameter_1/test_parameter_3', 'new', '', '', '', '', '', '', NULL);

INSERT INTO ledger_row (id, "key", attempt, step, state, pipeline, run_id, task_id, map_index, try_number, holder, lease_expires, datetime_started, datetime_finished, image, params, inputs, parts, outputs, metrics, summary, output_path, reason, detail, pod, node, exit_reason, message, log_url, ttl_seconds) VALUES (5, 'c6fbf2092b03f99f09f817faa841470a3e681703e613987c192d143575453aa9', 1, 'run_command', 'succeeded', 'ml_testing_dag', 'manual__2026-01-01T12:00:00+00:00', 'testing_task_2', -1, 1, '34abbe4b170dd113550db2ba7c7ad9aeec85e4c4212ffb243b12cde27dac2e26', NULL, '2026-01-01 12:05:00.000000', '2026-01-01 12:05:30.000000', 'tag:run_command:0123456789ab', '{"command":"testing_task_2","parameter_1":"test_parameter_1","parameter_3":"test_parameter_3"}', '{}', '{"contract":1,"image":"tag:run_command:0123456789ab","inputs":{},"output":"s3://tidegate/tasks/testing_task_2/test_parameter_1/test_parameter_3","params":{"command":"testing_task_2","parameter_1":"test_parameter_1","parameter_3":"test_parameter_3"},"secrets":{},"step":"run_command","time":""}', '[{"etag":"sample-5","name":"output","sha256":"0000000000000000000000000000000000000000000000000000000000000000","size":3,"url":"s3://tidegate/tasks/testing_task_2/test_parameter_1/test_parameter_3/output.txt"}]', '{"score":0.5}', 'sample', 's3://tidegate/tasks/testing_task_2/test_parameter_1/test_parameter_3', 'new', '', '', '', '', '', '', NULL);

INSERT INTO ledger_use (id, pipeline, run_id, task_id, map_index, try_number, holder, row_id, verdict, run_params, datetime_decided) VALUES (1, 'ml_training_dag', 'manual__2026-01-01T12:00:00+00:00', 'common_task_1', -1, 1, 'b479301b4687f6eec1e56f8155dafc97ed75b21e3b0357c242704e6597a772ea', 1, 'run', '{"parameter_1":"test_parameter_1","parameter_2":"test_parameter_2"}', '2026-01-01 12:01:00.000000');

INSERT INTO ledger_use (id, pipeline, run_id, task_id, map_index, try_number, holder, row_id, verdict, run_params, datetime_decided) VALUES (2, 'ml_training_dag', 'manual__2026-01-01T12:00:00+00:00', 'common_task_2', -1, 1, '2714e37f93d021714ce3147f3723847bcdc1106b72fff78650151e2c0169da88', 2, 'run', '{"parameter_1":"test_parameter_1","parameter_2":"test_parameter_2"}', '2026-01-01 12:02:00.000000');

INSERT INTO ledger_use (id, pipeline, run_id, task_id, map_index, try_number, holder, row_id, verdict, run_params, datetime_decided) VALUES (3, 'ml_training_dag', 'manual__2026-01-01T12:00:00+00:00', 'training_task_1', -1, 1, 'dd1645ba92d5dddf4d7c52085c13edd213ee1a50ce5595262e8b9967c068129e', 3, 'run', '{"parameter_1":"test_parameter_1","parameter_2":"test_parameter_2"}', '2026-01-01 12:03:00.000000');

INSERT INTO ledger_use (id, pipeline, run_id, task_id, map_index, try_number, holder, row_id, verdict, run_params, datetime_decided) VALUES (4, 'ml_testing_dag', 'manual__2026-01-01T12:00:00+00:00', 'testing_task_1', -1, 1, 'ef461583158da206692f88bbf6baeecbe3ef56a2bd871dc1f50b28dd47d35685', 4, 'run', '{"parameter_1":"test_parameter_1","parameter_3":"test_parameter_3"}', '2026-01-01 12:04:00.000000');

INSERT INTO ledger_use (id, pipeline, run_id, task_id, map_index, try_number, holder, row_id, verdict, run_params, datetime_decided) VALUES (5, 'ml_testing_dag', 'manual__2026-01-01T12:00:00+00:00', 'testing_task_2', -1, 1, '34abbe4b170dd113550db2ba7c7ad9aeec85e4c4212ffb243b12cde27dac2e26', 5, 'run', '{"parameter_1":"test_parameter_1","parameter_3":"test_parameter_3"}', '2026-01-01 12:05:00.000000');

INSERT INTO ledger_use (id, pipeline, run_id, task_id, map_index, try_number, holder, row_id, verdict, run_params, datetime_decided) VALUES (6, 'ml_testing_dag', 'manual__2026-01-01T12:00:00+00:00', 'common_task_1', -1, 1, '93171b4d809a338c6c139a68863316bd00f9313acad6ab0cd0b2d77e353b485e', 1, 'hit', '{"parameter_1":"test_parameter_1","parameter_3":"test_parameter_3"}', '2026-01-01 12:06:00.000000');

INSERT INTO ledger_use (id, pipeline, run_id, task_id, map_index, try_number, holder, row_id, verdict, run_params, datetime_decided) VALUES (7, 'ml_testing_dag', 'manual__2026-01-01T12:00:00+00:00', 'common_task_2', -1, 1, '1af770d731101c0905e86e4b05d506b9a0bc6bfae9a9ba608d172c85fa7207cb', 2, 'hit', '{"parameter_1":"test_parameter_1","parameter_3":"test_parameter_3"}', '2026-01-01 12:07:00.000000');

