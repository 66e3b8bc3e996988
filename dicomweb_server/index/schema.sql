-- The whole schema on one page. It is what the migrations lead to (tests/index/test_migrate.py
-- compares the two) and is read by people only: migrate.py runs migrations/*.sql.
--
-- Valid on PostgreSQL 15 to 18. Both extensions are "trusted": the owner of the database may
-- create them. Text that is compared or ordered is COLLATE "C": LIKE 'X%' can use a plain btree,
-- and no upgrade of an operating system's locale reorders an index.

CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS btree_gin;  -- lets the institution stand inside a GIN index

CREATE TABLE schema_migrations (
  number      integer     PRIMARY KEY,
  name        text        NOT NULL,
  sha256      text        NOT NULL,
  applied_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE institutions (
  id     integer PRIMARY KEY,
  code   text    COLLATE "C" NOT NULL UNIQUE,
  title  text    NOT NULL DEFAULT ''
);
INSERT INTO institutions (id, code) VALUES (1, 'default');

-- Match keys are normalised as dicom.matching and dicom.person_name do it; `attributes` holds
-- what is returned, as stored. A key that is absent, empty or meaningless is NULL.
CREATE TABLE studies (
  id                             bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  sort_key                       bigint  NOT NULL,  -- YYYYMMDDhhmmss; 0 without a Study Date
  bytes                          bigint  NOT NULL,  -- of all files of the study
  created_at                     timestamptz NOT NULL DEFAULT now(),
  updated_at                     timestamptz NOT NULL DEFAULT now(),
  institution_id                 integer NOT NULL REFERENCES institutions,
  number_of_series               integer NOT NULL,
  number_of_instances            integer NOT NULL,
  study_instance_uid             text    COLLATE "C" NOT NULL,
  study_date                     text    COLLATE "C",  -- YYYYMMDD
  study_time                     text    COLLATE "C",  -- HHMMSS.FFFFFF
  accession_number               text    COLLATE "C",
  study_id                       text    COLLATE "C",
  patient_id                     text    COLLATE "C",
  issuer_of_patient_id           text    COLLATE "C",
  patient_name                   text    COLLATE "C",  -- alphabetic group, folded
  patient_name_other             text    COLLATE "C",  -- ideographic=phonetic, folded
  patient_birth_date             text    COLLATE "C",  -- YYYYMMDD
  patient_sex                    text    COLLATE "C",
  referring_physician_name       text    COLLATE "C",
  referring_physician_name_other text    COLLATE "C",
  study_description              text    COLLATE "C",
  modalities                     text[]  COLLATE "C" NOT NULL DEFAULT '{}',  -- distinct, sorted
  attributes                     text    NOT NULL  -- DICOM JSON Model object of level STUDY
) WITH (fillfactor = 85);  -- room to update the counters in place (HOT)

CREATE UNIQUE INDEX studies_uid   ON studies (study_instance_uid, institution_id);
CREATE INDEX studies_newest       ON studies (institution_id, sort_key DESC, study_instance_uid, id);
CREATE INDEX studies_patient_id   ON studies (patient_id, institution_id);
CREATE INDEX studies_accession    ON studies (accession_number, institution_id);
CREATE INDEX studies_study_id     ON studies (study_id, institution_id);
CREATE INDEX studies_patient_name ON studies (institution_id, patient_name);
CREATE INDEX studies_patient_name_infix ON studies
  USING gin (institution_id, patient_name gin_trgm_ops) WITH (fastupdate = off);
CREATE INDEX studies_patient_name_ideographic ON studies
  (institution_id, split_part(patient_name_other, '=', 1)) WHERE patient_name_other IS NOT NULL;
CREATE INDEX studies_patient_name_phonetic ON studies
  (institution_id, split_part(patient_name_other, '=', 2)) WHERE patient_name_other IS NOT NULL;
CREATE INDEX studies_referring    ON studies (institution_id, referring_physician_name);
CREATE INDEX studies_referring_ideographic ON studies
  (institution_id, split_part(referring_physician_name_other, '=', 1))
  WHERE referring_physician_name_other IS NOT NULL;
CREATE INDEX studies_referring_phonetic ON studies
  (institution_id, split_part(referring_physician_name_other, '=', 2))
  WHERE referring_physician_name_other IS NOT NULL;
CREATE INDEX studies_modalities   ON studies
  USING gin (institution_id, modalities) WITH (fastupdate = off);
-- Names are skewed: without many common values a prefix is planned as if all were equally rare.
ALTER TABLE studies ALTER patient_name SET STATISTICS 1000,
                    ALTER referring_physician_name SET STATISTICS 500;

CREATE TABLE series (
  id                  bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  study_id            bigint  NOT NULL REFERENCES studies ON DELETE CASCADE,
  series_number       bigint,
  institution_id      integer NOT NULL,
  number_of_instances integer NOT NULL,
  series_instance_uid text    COLLATE "C" NOT NULL,
  modality            text    COLLATE "C",
  series_description  text    COLLATE "C",
  body_part_examined  text    COLLATE "C",
  pps_start_date      text    COLLATE "C",  -- Performed Procedure Step Start Date, YYYYMMDD
  pps_start_time      text    COLLATE "C",  -- HHMMSS.FFFFFF
  attributes          text    NOT NULL  -- DICOM JSON Model object of level SERIES
) WITH (fillfactor = 85);

CREATE UNIQUE INDEX series_in_study ON series (study_id, series_instance_uid);
CREATE INDEX series_uid             ON series (series_instance_uid, institution_id);
CREATE INDEX series_pps_start       ON series (institution_id, pps_start_date)
  WHERE pps_start_date IS NOT NULL;

-- Items of the Request Attributes Sequence; few series carry them.
CREATE TABLE series_requests (
  series_id                   bigint  NOT NULL REFERENCES series ON DELETE CASCADE,
  institution_id              integer NOT NULL,
  scheduled_procedure_step_id text    COLLATE "C",
  requested_procedure_id      text    COLLATE "C",
  accession_number            text    COLLATE "C"
);
CREATE INDEX series_requests_series    ON series_requests (series_id);
CREATE INDEX series_requests_step      ON series_requests (scheduled_procedure_step_id, institution_id);
CREATE INDEX series_requests_procedure ON series_requests (requested_procedure_id, institution_id);
CREATE INDEX series_requests_accession ON series_requests (accession_number, institution_id);

CREATE TABLE instances (
  id                  bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  series_id           bigint  NOT NULL REFERENCES series ON DELETE CASCADE,
  study_id            bigint  NOT NULL,
  size                bigint  NOT NULL,  -- bytes of the file
  instance_number     bigint,
  number_of_frames    bigint,            -- as the file says; frame_count is what was found
  stored_at           timestamptz NOT NULL DEFAULT now(),
  institution_id      integer NOT NULL,
  rows                integer,
  columns             integer,
  dataset_offset      integer NOT NULL,  -- bytes from the beginning of the file
  sop_instance_uid    text    COLLATE "C" NOT NULL,
  sop_class_uid       text    COLLATE "C" NOT NULL,
  transfer_syntax_uid text    COLLATE "C" NOT NULL,
  blob_key            text    COLLATE "C" NOT NULL,
  sha256              bytea   NOT NULL,  -- of the file
  attributes          text    NOT NULL,  -- DICOM JSON Model object of level INSTANCE
  metadata            bytea   NOT NULL,  -- the whole DICOM JSON, raw deflate (instances.pack_metadata)
  bulk                jsonb,             -- path -> [offset, length, VR]; NULL if there is none
  -- dicom.description.FrameTable; all NULL without Pixel Data
  frame_count         integer,
  encapsulated        boolean,
  pixel_offset        bigint,
  pixel_length        bigint,
  frame_bits          bigint,
  frame_word          integer,
  frame_ranges        bytea              -- 20 bytes a frame, encapsulated only
);
-- Deflated already; and stored plainly substr() reads only the chunks it needs.
ALTER TABLE instances ALTER metadata SET STORAGE EXTERNAL,
                      ALTER frame_ranges SET STORAGE EXTERNAL;

CREATE UNIQUE INDEX instances_uid ON instances (sop_instance_uid, institution_id);
CREATE INDEX instances_in_series  ON instances (series_id, instance_number);
