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
  id         integer PRIMARY KEY,
  code       text    COLLATE "C" NOT NULL UNIQUE,
  title      text    NOT NULL DEFAULT '',
  -- What becomes of an instance that comes again with another data set.
  duplicates text    COLLATE "C" NOT NULL DEFAULT 'refuse'
    CONSTRAINT institutions_duplicates CHECK (duplicates IN ('refuse', 'replace'))
);
INSERT INTO institutions (id, code) VALUES (1, 'default');

-- The first moment of the quarter of a year, as a sort_key is one. All years before 1900 are one
-- quarter, as is what has no date, and all after 2100 another: dates that nobody meant would make
-- forty thousand, and each is looked at.
CREATE FUNCTION quarter_of(p_sort_key bigint) RETURNS bigint
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN p_sort_key < 19000000000000 THEN 0
            WHEN p_sort_key >= 21010000000000 THEN 21010100000000
            ELSE p_sort_key / 10000000000 * 10000000000
                 + ((p_sort_key / 100000000 % 100 + 2) / 3 * 3 - 2) * 100000000 END;

-- What the keys of names begin with, of an institution and a quarter: so they lie together.
-- Quarters are counted, four of a year.
CREATE FUNCTION name_place(p_institution integer, p_sort_key bigint) RETURNS bigint
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (p_institution % 32768)::bigint * 281474976710656 + 4294967296 *
       CASE WHEN p_sort_key < 19000000000000 THEN 0
            WHEN p_sort_key >= 21010000000000 THEN 8405
            ELSE p_sort_key / 10000000000 * 4 + (p_sort_key / 100000000 % 100 + 2) / 3 END;

-- What a key of a name ends with.
CREATE FUNCTION name_key(p_text text, p_kind bigint) RETURNS bigint
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN hashtextextended(p_text, p_kind) & 4294967295;

-- The keys by which a study is found by a part of a patient's name: the sounds of its words (kind
-- 0), all runs of three characters (kind 1), also of words without their apostrophes, which are the
-- ends of beginnings, and the first two characters (kind 2). It cannot call the functions above:
-- where an index is built no names but those of Postgres are known.
CREATE FUNCTION name_keys(
  p_institution integer, p_sort_key bigint, p_name text, p_other text, p_tokens text[]
) RETURNS bigint[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 1000 AS $$
DECLARE
  v_place bigint := (p_institution % 32768)::bigint * 281474976710656 + 4294967296 *
       CASE WHEN p_sort_key < 19000000000000 THEN 0
            WHEN p_sort_key >= 21010000000000 THEN 8405
            ELSE p_sort_key / 10000000000 * 4 + (p_sort_key / 100000000 % 100 + 2) / 3 END;
  v_keys  bigint[] := '{}';
  v_text  text;
BEGIN
  FOREACH v_text IN ARRAY coalesce(p_tokens, '{}') LOOP
    IF v_text LIKE '~%' THEN
      v_keys := v_keys || v_place + (hashtextextended(v_text, 0) & 4294967295);
    ELSIF length(v_text) > 2 THEN
      v_keys := v_keys || v_place + (hashtextextended(right(v_text, 3), 1) & 4294967295);
    END IF;
  END LOOP;
  FOREACH v_text IN ARRAY ARRAY[p_name, p_other] LOOP
    FOR n IN 1 .. coalesce(length(v_text), 0) - 2 LOOP
      v_keys := v_keys || v_place + (hashtextextended(substr(v_text, n, 3), 1) & 4294967295);
    END LOOP;
  END LOOP;
  FOREACH v_text IN ARRAY
    ARRAY[p_name, split_part(p_other, '=', 1), split_part(p_other, '=', 2)]
  LOOP
    IF length(v_text) > 1 THEN
      v_keys := v_keys || v_place + (hashtextextended(left(v_text, 2), 2) & 4294967295);
    END IF;
  END LOOP;
  RETURN v_keys;
END
$$;

-- Match keys are normalised as dicom.matching and dicom.person_name do it; `document` holds what
-- is returned, as stored (dicom.packing). A key that is absent, empty or meaningless is NULL.
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
  document                       bytea   NOT NULL,  -- attributes of level STUDY
  patient_name_tokens            text[]  COLLATE "C",  -- for fuzzy matching (dicom.name_tokens)
  referring_physician_name_tokens text[] COLLATE "C"
) WITH (fillfactor = 85);  -- room to update the counters in place (HOT)

CREATE UNIQUE INDEX studies_uid   ON studies (study_instance_uid, institution_id);
CREATE INDEX studies_newest       ON studies (institution_id, sort_key DESC, study_instance_uid, id);
CREATE INDEX studies_newest_of_all ON studies (sort_key DESC, study_instance_uid, id);
CREATE INDEX studies_patient_id   ON studies (patient_id, institution_id);
CREATE INDEX studies_accession    ON studies (accession_number, institution_id);
CREATE INDEX studies_study_id     ON studies (study_id, institution_id);
-- With the order of results, so that a page of a name is found without looking at the studies.
CREATE INDEX studies_by_patient_name ON studies
  (institution_id, patient_name, sort_key, study_instance_uid, id);
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
CREATE INDEX studies_patient_name_tokens ON studies
  USING gin (institution_id, patient_name_tokens) WITH (fastupdate = off);
CREATE INDEX studies_referring_tokens ON studies
  USING gin (institution_id, referring_physician_name_tokens) WITH (fastupdate = off);
-- A part of a name in the newest studies first; the indexes above find all that have it.
CREATE INDEX studies_name_keys    ON studies
  USING gin (name_keys(institution_id, sort_key, patient_name, patient_name_other,
                       patient_name_tokens)) WITH (fastupdate = off);
-- To be planned with it needs no statistics, and they would take seconds to make.
ALTER INDEX studies_name_keys ALTER COLUMN 1 SET STATISTICS 0;
-- Names are skewed: without many common values a prefix is planned as if all were equally rare.
ALTER TABLE studies ALTER patient_name SET STATISTICS 1000,
                    ALTER referring_physician_name SET STATISTICS 500;

-- The studies that have a series of a modality, newest first: a walk for each, however rare.
CREATE TABLE study_modalities (
  study_id           bigint  NOT NULL REFERENCES studies ON DELETE CASCADE,
  sort_key           bigint  NOT NULL,  -- those of the study
  institution_id     integer NOT NULL,
  modality           text    COLLATE "C" NOT NULL,
  study_instance_uid text    COLLATE "C" NOT NULL,
  PRIMARY KEY (study_id, modality)
);
CREATE INDEX study_modalities_newest ON study_modalities
  (institution_id, modality, sort_key DESC, study_instance_uid, study_id);
CREATE INDEX study_modalities_newest_of_all ON study_modalities
  (modality, sort_key DESC, study_instance_uid, study_id);

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
  document            bytea   NOT NULL,  -- attributes of level SERIES
  sop_classes         text[]  COLLATE "C" NOT NULL DEFAULT '{}'  -- of its instances, distinct, sorted
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
  metadata            bytea   NOT NULL,  -- the whole DICOM JSON, raw deflate (dicom.packing)
  bulk                jsonb,             -- path -> [offset, length, VR]; NULL if there is none
  -- dicom.description.FrameTable; all NULL without Pixel Data
  frame_count         integer,
  encapsulated        boolean,
  pixel_offset        bigint,
  pixel_length        bigint,
  frame_bits          bigint,
  frame_word          integer,
  frame_ranges        bytea,             -- 20 bytes a frame, encapsulated only
  document            bytea   NOT NULL   -- attributes of level INSTANCE
);
-- Deflated already; and stored plainly substr() reads only the chunks it needs.
ALTER TABLE instances ALTER metadata SET STORAGE EXTERNAL,
                      ALTER frame_ranges SET STORAGE EXTERNAL;

CREATE UNIQUE INDEX instances_uid ON instances (sop_instance_uid, institution_id);
CREATE INDEX instances_in_series  ON instances (series_id, instance_number);

-- Which studies are being gone through (index.series_frames).
CREATE TABLE leases (
  institution_id     integer     NOT NULL,
  study_instance_uid text        COLLATE "C" NOT NULL,
  until              timestamptz NOT NULL,
  PRIMARY KEY (study_instance_uid, institution_id)
);

-- Versions of instances that newer ones replaced; their blobs stay until they are purged.
CREATE TABLE superseded (
  id                  bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  size                bigint  NOT NULL,  -- bytes of the file
  stored_at           timestamptz NOT NULL,
  replaced_at         timestamptz NOT NULL DEFAULT now(),
  institution_id      integer NOT NULL REFERENCES institutions,
  study_instance_uid  text    COLLATE "C" NOT NULL,
  series_instance_uid text    COLLATE "C" NOT NULL,
  sop_instance_uid    text    COLLATE "C" NOT NULL,
  blob_key            text    COLLATE "C" NOT NULL,
  sha256              bytea   NOT NULL  -- of the file
);
CREATE INDEX superseded_uid         ON superseded (sop_instance_uid, institution_id);
CREATE INDEX superseded_replaced_at ON superseded (replaced_at);

-- What changed, a row a series and transaction, for readers that follow. The numbers come from
-- one counter whose row is locked until the transaction ends: who has read up to a number has
-- missed nothing below it.
CREATE TABLE changes (
  sequence            bigint  PRIMARY KEY,
  at                  timestamptz NOT NULL DEFAULT now(),
  institution_id      integer NOT NULL,
  kind                text    COLLATE "C" NOT NULL,  -- stored, replaced, deleted
  study_instance_uid  text    COLLATE "C" NOT NULL,
  series_instance_uid text    COLLATE "C" NOT NULL,
  sop_instance_uids   text[]  COLLATE "C" NOT NULL
);

CREATE TABLE change_counter (
  only_row   boolean PRIMARY KEY DEFAULT true CONSTRAINT change_counter_one_row CHECK (only_row),
  last       bigint  NOT NULL,
  attributes integer NOT NULL DEFAULT 0  -- version of indexed_attributes
) WITH (fillfactor = 10);  -- updated by every transaction, in place (HOT)
INSERT INTO change_counter (last) VALUES (0);

-- How much each institution has, so that a search that nothing restricts need not count.
CREATE TABLE institution_totals (
  institution_id integer PRIMARY KEY REFERENCES institutions ON DELETE CASCADE,
  studies        bigint  NOT NULL DEFAULT 0,
  series         bigint  NOT NULL DEFAULT 0,
  instances      bigint  NOT NULL DEFAULT 0
) WITH (fillfactor = 10);  -- updated by every transaction, in place (HOT)

-- Attributes that the operator has had indexed, beyond those with a column.
CREATE TABLE indexed_attributes (
  id         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  created_at timestamptz NOT NULL DEFAULT now(),
  ready      boolean NOT NULL DEFAULT false,  -- whether what was there before has its values
  dropped    boolean NOT NULL DEFAULT false,  -- no longer indexed; its values are being removed
  path       text    COLLATE "C" NOT NULL UNIQUE  -- tags of eight digits, joined by dots
);
-- Their values, normalised (dicom.match_values), of the entity that has the attribute.
CREATE TABLE attribute_values (
  attribute_id   integer NOT NULL REFERENCES indexed_attributes ON DELETE CASCADE,
  institution_id integer NOT NULL,
  study_id       bigint  NOT NULL REFERENCES studies ON DELETE CASCADE,
  series_id      bigint  REFERENCES series ON DELETE CASCADE,     -- NULL for a study's
  instance_id    bigint  REFERENCES instances ON DELETE CASCADE,  -- NULL for a series' or study's
  value          text    COLLATE "C" NOT NULL
);
CREATE INDEX attribute_values_value ON attribute_values
  (attribute_id, institution_id, value, study_id, series_id, instance_id);
CREATE INDEX attribute_values_study    ON attribute_values (study_id);
CREATE INDEX attribute_values_series   ON attribute_values (series_id) WHERE series_id IS NOT NULL;
CREATE INDEX attribute_values_instance ON attribute_values (instance_id) WHERE instance_id IS NOT NULL;

-- Who did what (PS3.15 A.5), a row a study and transaction. Never updated.
CREATE TABLE audit (
  id                 bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at                 timestamptz NOT NULL DEFAULT now(),
  institution_id     integer NOT NULL,
  instances          integer NOT NULL,  -- how many
  principal          text    COLLATE "C" NOT NULL,
  action             text    COLLATE "C" NOT NULL,  -- store, replace, refuse, delete, purge
  study_instance_uid text    COLLATE "C" NOT NULL,
  sop_instance_uids  text[]  COLLATE "C"  -- where single ones matter: replace, refuse
);
CREATE INDEX audit_study ON audit (study_instance_uid, institution_id);

-- How far work got that takes longer than one run of a command.
CREATE TABLE progress (
  work     text   COLLATE "C" PRIMARY KEY,
  position bigint NOT NULL,
  at       timestamptz NOT NULL DEFAULT now()
);

-- Rows on their way in; places of parents count from 1.
CREATE TYPE new_study AS (
  study_instance_uid             text COLLATE "C",
  sort_key                       bigint,
  study_date                     text,
  study_time                     text,
  accession_number               text,
  study_id                       text,
  patient_id                     text,
  issuer_of_patient_id           text,
  patient_name                   text,
  patient_name_other             text,
  patient_birth_date             text,
  patient_sex                    text,
  referring_physician_name       text,
  referring_physician_name_other text,
  study_description              text,
  document                       bytea,
  patient_name_tokens            text[],
  referring_physician_name_tokens text[]
);
CREATE TYPE new_series AS (
  study               integer,
  series_instance_uid text COLLATE "C",
  modality            text,
  series_number       bigint,
  series_description  text,
  body_part_examined  text,
  pps_start_date      text,
  pps_start_time      text,
  document            bytea
);
CREATE TYPE new_request AS (
  series                      integer,
  scheduled_procedure_step_id text,
  requested_procedure_id      text,
  accession_number            text
);
CREATE TYPE new_instance AS (
  series              integer,
  sop_instance_uid    text COLLATE "C",
  sop_class_uid       text,
  transfer_syntax_uid text,
  instance_number     bigint,
  number_of_frames    bigint,
  rows                integer,
  columns             integer,
  dataset_offset      integer,
  document            bytea,
  bulk                jsonb,
  frame_count         integer,
  encapsulated        boolean,
  pixel_offset        bigint,
  pixel_length        bigint,
  frame_bits          bigint,
  frame_word          integer,
  frame_ranges        bytea,
  metadata            bytea,
  blob_key            text,
  size                bigint,
  sha256              bytea
);

CREATE TYPE new_value AS (
  attribute_id integer,
  study        integer,  -- place
  series       integer,  -- NULL for a study's
  instance     integer,  -- NULL for a series' or study's
  value        text
);

-- Add rows to the feed, as the last thing in a transaction: the counter is locked from here on.
CREATE FUNCTION append_changes(
  p_institution integer, p_kind text,
  p_studies text[], p_series text[], p_instances text[]  -- UIDs, one of each an instance
) RETURNS void LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  WITH changed AS (
    SELECT row_number() OVER () AS number, c.*
      FROM (SELECT u.study, u.series, array_agg(u.instance ORDER BY u.instance) AS instances
              FROM unnest(p_studies, p_series, p_instances) AS u (study, series, instance)
             GROUP BY u.study, u.series ORDER BY u.study, u.series) c),
  counter AS (
    UPDATE change_counter SET last = last + (SELECT count(*) FROM changed) RETURNING last)
  INSERT INTO changes
    (sequence, institution_id, kind, study_instance_uid, series_instance_uid, sop_instance_uids)
  SELECT counter.last - (SELECT count(*) FROM changed) + c.number,
         p_institution, p_kind, c.study, c.series, c.instances
    FROM changed c, counter;
END
$$;

-- Refuse what was made for another set of indexed attributes: its values would be missing from
-- the index. After append_changes: the version cannot change before this transaction has ended.
CREATE FUNCTION check_attributes(p_attributes integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF p_attributes <> (SELECT attributes FROM change_counter) THEN
    RAISE EXCEPTION 'other attributes are indexed now' USING ERRCODE = 'DW001';
  END IF;
END
$$;

-- How much an institution has more, or less. After append_changes, so that no two transactions
-- wait for each other.
CREATE FUNCTION add_totals(
  p_institution integer, p_studies bigint, p_series bigint, p_instances bigint
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO institution_totals AS t (institution_id, studies, series, instances)
  VALUES (p_institution, p_studies, p_series, p_instances)
  ON CONFLICT (institution_id) DO UPDATE
     SET studies = t.studies + EXCLUDED.studies, series = t.series + EXCLUDED.series,
         instances = t.instances + EXCLUDED.instances;
END
$$;

-- What series say of their instances, after some could not be stored or were deleted.
CREATE FUNCTION recount_series(p_series bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE series e
     SET (number_of_instances, sop_classes) = (
           SELECT count(*), coalesce(array_agg(DISTINCT i.sop_class_uid), '{}')
             FROM instances i
            WHERE i.series_id = e.id)
   WHERE e.id = ANY (p_series);
END
$$;

-- Values of indexed attributes, for the entities that begin here. Places are those of the
-- arrays; NULL is the id of an instance that was not stored.
CREATE FUNCTION add_values(
  p_institution integer, p_values new_value[],
  p_studies bigint[], p_series bigint[], p_instances bigint[],
  p_fresh_studies bigint[], p_fresh_series bigint[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO attribute_values
    (attribute_id, institution_id, study_id, series_id, instance_id, value)
  SELECT v.attribute_id, p_institution, p_studies[v.study], p_series[v.series],
         p_instances[v.instance], v.value
    FROM unnest(p_values) v
   WHERE CASE WHEN v.instance IS NOT NULL THEN p_instances[v.instance] IS NOT NULL
              WHEN v.series IS NOT NULL THEN p_series[v.series] = ANY (p_fresh_series)
              ELSE p_studies[v.study] = ANY (p_fresh_studies) END
     -- A parent that begins here has gone again if nothing of it could be stored.
     AND EXISTS (SELECT FROM studies s WHERE s.id = p_studies[v.study])
     AND (v.series IS NULL OR EXISTS (SELECT FROM series e WHERE e.id = p_series[v.series]));
END
$$;

-- What a study says of its series, after series came or went, or its date changed.
CREATE FUNCTION restate_studies(p_studies bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE studies s
     SET (number_of_series, number_of_instances, modalities) = (
           SELECT count(*), coalesce(sum(e.number_of_instances), 0),
                  coalesce(array_agg(DISTINCT e.modality) FILTER (WHERE e.modality IS NOT NULL),
                           '{}')
             FROM series e
            WHERE e.study_id = s.id)
   WHERE s.id = ANY (p_studies);
  DELETE FROM study_modalities m
   USING studies s
   WHERE s.id = ANY (p_studies) AND m.study_id = s.id
     AND (m.modality <> ALL (s.modalities) OR m.sort_key <> s.sort_key);
  INSERT INTO study_modalities (study_id, sort_key, institution_id, modality, study_instance_uid)
  SELECT s.id, s.sort_key, s.institution_id, m.modality, s.study_instance_uid
    FROM studies s, unnest(s.modalities) AS m (modality)
   WHERE s.id = ANY (p_studies)
  ON CONFLICT DO NOTHING;
END
$$;

-- Store a group in one transaction and one round trip: studies and series as far as they are
-- missing, the instances whose SOP Instance UID is free, the counts, the feed, the audit.
-- Returns a row for each that was not stored, with what has its UID; all NULL but the UID if
-- that one has gone again. Locks: studies by UID, then instances by UID, then the counter.
CREATE FUNCTION store_instances(
  p_institution integer, p_principal text,
  p_studies new_study[], p_series new_series[], p_requests new_request[],
  p_instances new_instance[], p_values new_value[], p_attributes integer
) RETURNS TABLE (
  wanted text, study_instance_uid text, series_instance_uid text, sop_instance_uid text,
  blob_key text, sha256 bytea, size bigint, transfer_syntax_uid text
) LANGUAGE plpgsql
-- To plan its statements anew each time takes as long as they do. What they look up they find
-- by keys, whatever the tables held when the plans were made.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
  v_studies bigint[];  -- ids, in the order of p_studies
  v_series  bigint[];
  v_fresh   bigint[];  -- series that begin here
  v_fresh_studies bigint[];
  v_stored  text[];
BEGIN
  -- What is there stays as it is: the first stored instance gives a study and a series its
  -- attributes (digest 4.8). The counts go up as if every instance were stored; the update
  -- locks the rows, new or old, in the order of their UIDs.
  WITH put AS (
    INSERT INTO studies AS s
      (institution_id, study_instance_uid, sort_key, study_date, study_time, accession_number,
       study_id, patient_id, issuer_of_patient_id, patient_name, patient_name_other,
       patient_birth_date, patient_sex, referring_physician_name,
       referring_physician_name_other, study_description, document, patient_name_tokens,
       referring_physician_name_tokens, number_of_series, number_of_instances, bytes)
    SELECT p_institution, n.study_instance_uid, n.sort_key, n.study_date, n.study_time,
           n.accession_number, n.study_id, n.patient_id, n.issuer_of_patient_id, n.patient_name,
           n.patient_name_other, n.patient_birth_date, n.patient_sex, n.referring_physician_name,
           n.referring_physician_name_other, n.study_description, n.document,
           n.patient_name_tokens, n.referring_physician_name_tokens, 0,
           c.instances, c.bytes
      FROM unnest(p_studies) WITH ORDINALITY n
      JOIN (SELECT (p_series[i.series]).study AS number, count(*) AS instances,
                   sum(i.size) AS bytes
              FROM unnest(p_instances) i GROUP BY 1) c ON c.number = n.ordinality
     ORDER BY n.study_instance_uid
    ON CONFLICT (study_instance_uid, institution_id) DO UPDATE
       SET number_of_instances = s.number_of_instances + EXCLUDED.number_of_instances,
           bytes = s.bytes + EXCLUDED.bytes,
           updated_at = now()
    RETURNING id, study_instance_uid, number_of_instances)
  -- Neither a study nor a series without instances is ever left behind, so one that has only
  -- ours is new.
  SELECT array_agg(put.id ORDER BY n.ordinality),
         coalesce(array_agg(put.id) FILTER (WHERE put.number_of_instances = (
           SELECT count(*) FROM unnest(p_instances) i
            WHERE (p_series[i.series]).study = n.ordinality)), '{}')
    INTO v_studies, v_fresh_studies
    FROM put JOIN unnest(p_studies) WITH ORDINALITY n USING (study_instance_uid);

  WITH put AS (
    INSERT INTO series AS e
      (institution_id, study_id, series_instance_uid, modality, series_number,
       series_description, body_part_examined, pps_start_date, pps_start_time, document,
       number_of_instances, sop_classes)
    SELECT p_institution, v_studies[n.study], n.series_instance_uid, n.modality, n.series_number,
           n.series_description, n.body_part_examined, n.pps_start_date, n.pps_start_time,
           n.document, c.instances, c.sop_classes
      FROM unnest(p_series) WITH ORDINALITY n
      JOIN (SELECT i.series AS number, count(*) AS instances,
                   array_agg(DISTINCT i.sop_class_uid COLLATE "C") AS sop_classes
              FROM unnest(p_instances) i GROUP BY 1) c ON c.number = n.ordinality
    ON CONFLICT (study_id, series_instance_uid) DO UPDATE
       SET number_of_instances = e.number_of_instances + EXCLUDED.number_of_instances,
           sop_classes = CASE WHEN e.sop_classes @> EXCLUDED.sop_classes THEN e.sop_classes
             ELSE ARRAY(SELECT DISTINCT unnest(e.sop_classes || EXCLUDED.sop_classes) ORDER BY 1)
             END
    RETURNING id, study_id, series_instance_uid, number_of_instances)
  SELECT array_agg(put.id ORDER BY n.ordinality),
         coalesce(array_agg(put.id) FILTER (WHERE put.number_of_instances = (
           SELECT count(*) FROM unnest(p_instances) i WHERE i.series = n.ordinality)), '{}')
    INTO v_series, v_fresh
    FROM put
    JOIN unnest(p_series) WITH ORDINALITY n
      ON v_studies[n.study] = put.study_id AND n.series_instance_uid = put.series_instance_uid;

  WITH stored AS (
    INSERT INTO instances
      (institution_id, study_id, series_id, sop_instance_uid, sop_class_uid,
       transfer_syntax_uid, instance_number, number_of_frames, rows, columns, dataset_offset,
       document, bulk, frame_count, encapsulated, pixel_offset, pixel_length, frame_bits,
       frame_word, frame_ranges, metadata, blob_key, size, sha256)
    SELECT p_institution, v_studies[(p_series[n.series]).study], v_series[n.series],
           n.sop_instance_uid, n.sop_class_uid, n.transfer_syntax_uid, n.instance_number,
           n.number_of_frames, n.rows, n.columns, n.dataset_offset, n.document, n.bulk,
           n.frame_count, n.encapsulated, n.pixel_offset, n.pixel_length, n.frame_bits,
           n.frame_word, n.frame_ranges, n.metadata, n.blob_key, n.size, n.sha256
      FROM unnest(p_instances) n ORDER BY n.sop_instance_uid
    ON CONFLICT (sop_instance_uid, institution_id) DO NOTHING
    RETURNING sop_instance_uid)
  SELECT coalesce(array_agg(sop_instance_uid), '{}') INTO v_stored FROM stored;

  IF cardinality(v_stored) < cardinality(p_instances) THEN
    PERFORM recount_series(v_series);
    UPDATE studies s
       SET bytes = s.bytes - c.bytes
      FROM (SELECT v_studies[(p_series[n.series]).study] AS id, sum(n.size) AS bytes
              FROM unnest(p_instances) n WHERE n.sop_instance_uid <> ALL (v_stored)
             GROUP BY 1) c
     WHERE s.id = c.id;
    DELETE FROM series WHERE id = ANY (v_fresh) AND number_of_instances = 0;
    PERFORM restate_studies(v_studies);
    DELETE FROM studies WHERE id = ANY (v_studies) AND number_of_instances = 0;
  ELSIF cardinality(v_fresh) > 0 THEN
    PERFORM restate_studies(v_studies);
  END IF;
  IF cardinality(v_fresh) > 0 AND cardinality(p_requests) > 0 THEN
    INSERT INTO series_requests
      (institution_id, series_id, scheduled_procedure_step_id, requested_procedure_id,
       accession_number)
    SELECT p_institution, e.id, r.scheduled_procedure_step_id, r.requested_procedure_id,
           r.accession_number
      FROM unnest(p_requests) r JOIN series e ON e.id = v_series[r.series]
     WHERE e.id = ANY (v_fresh);
  END IF;
  IF cardinality(p_values) > 0 THEN
    PERFORM add_values(p_institution, p_values, v_studies, v_series,
              ARRAY(SELECT CASE WHEN n.sop_instance_uid = ANY (v_stored) THEN i.id END
                      FROM unnest(p_instances) WITH ORDINALITY n
                      LEFT JOIN instances i ON i.sop_instance_uid = n.sop_instance_uid
                                           AND i.institution_id = p_institution
                     ORDER BY n.ordinality), v_fresh_studies, v_fresh);
  END IF;

  IF cardinality(v_stored) < cardinality(p_instances) THEN
    RETURN QUERY
    SELECT n.sop_instance_uid, s.study_instance_uid, e.series_instance_uid, i.sop_instance_uid,
           i.blob_key, i.sha256, i.size, i.transfer_syntax_uid
      FROM unnest(p_instances) n
      LEFT JOIN instances i
        ON i.sop_instance_uid = n.sop_instance_uid AND i.institution_id = p_institution
      LEFT JOIN series e ON e.id = i.series_id
      LEFT JOIN studies s ON s.id = e.study_id
     WHERE n.sop_instance_uid <> ALL (v_stored);
  END IF;

  IF cardinality(v_stored) > 0 THEN
    INSERT INTO audit (institution_id, principal, action, study_instance_uid, instances)
    SELECT p_institution, p_principal, 'store',
           (p_studies[(p_series[n.series]).study]).study_instance_uid, count(*)
      FROM unnest(p_instances) n
     WHERE n.sop_instance_uid = ANY (v_stored)
     GROUP BY 4;
    PERFORM append_changes(p_institution, 'stored',
              array_agg((p_studies[(p_series[n.series]).study]).study_instance_uid),
              array_agg((p_series[n.series]).series_instance_uid),
              array_agg(n.sop_instance_uid))
       FROM unnest(p_instances) n
      WHERE n.sop_instance_uid = ANY (v_stored);
    PERFORM check_attributes(p_attributes);
    PERFORM add_totals(p_institution,
              (SELECT count(*) FROM studies WHERE id = ANY (v_fresh_studies)),
              (SELECT count(*) FROM series WHERE id = ANY (v_fresh)), cardinality(v_stored));
  END IF;
END
$$;

-- Put a new version in the place of an instance, if its blob is still `p_blob_key`: the old one
-- goes to superseded. The new version gives its series and study their attributes, as what is
-- sent again is sent to correct them. Returns whether it did. Locks as store_instances does.
CREATE FUNCTION replace_instance(
  p_institution integer, p_principal text, p_blob_key text,
  p_studies new_study[], p_series new_series[], p_requests new_request[],  -- one study, one series
  p_instances new_instance[], p_values new_value[], p_attributes integer
) RETURNS boolean LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  v_new    new_instance := p_instances[1];
  v_old    instances;
  v_study  bigint;
  v_series bigint;
BEGIN
  SELECT id INTO v_study FROM studies
   WHERE study_instance_uid = p_studies[1].study_instance_uid AND institution_id = p_institution
     FOR NO KEY UPDATE;
  SELECT id INTO v_series FROM series
   WHERE study_id = v_study AND series_instance_uid = p_series[1].series_instance_uid;
  SELECT * INTO v_old FROM instances
   WHERE sop_instance_uid = v_new.sop_instance_uid AND institution_id = p_institution
     AND series_id = v_series AND blob_key = p_blob_key
     FOR UPDATE;
  IF v_old.id IS NULL THEN
    RETURN false;
  END IF;

  INSERT INTO superseded
    (institution_id, study_instance_uid, series_instance_uid, sop_instance_uid, blob_key, size,
     sha256, stored_at)
  VALUES
    (p_institution, p_studies[1].study_instance_uid, p_series[1].series_instance_uid,
     v_old.sop_instance_uid, v_old.blob_key, v_old.size, v_old.sha256, v_old.stored_at);
  UPDATE instances
     SET (stored_at, sop_class_uid, transfer_syntax_uid, instance_number, number_of_frames, rows,
          columns, dataset_offset, document, bulk, frame_count, encapsulated, pixel_offset,
          pixel_length, frame_bits, frame_word, frame_ranges, metadata, blob_key, size, sha256) =
         (now(), v_new.sop_class_uid, v_new.transfer_syntax_uid, v_new.instance_number,
          v_new.number_of_frames, v_new.rows, v_new.columns, v_new.dataset_offset,
          v_new.document, v_new.bulk, v_new.frame_count, v_new.encapsulated,
          v_new.pixel_offset, v_new.pixel_length, v_new.frame_bits, v_new.frame_word,
          v_new.frame_ranges, v_new.metadata, v_new.blob_key, v_new.size, v_new.sha256)
   WHERE id = v_old.id;
  UPDATE series
     SET (modality, series_number, series_description, body_part_examined, pps_start_date,
          pps_start_time, document) =
         (p_series[1].modality, p_series[1].series_number, p_series[1].series_description,
          p_series[1].body_part_examined, p_series[1].pps_start_date,
          p_series[1].pps_start_time, p_series[1].document)
   WHERE id = v_series;
  UPDATE studies
     SET (sort_key, study_date, study_time, accession_number, study_id, patient_id,
          issuer_of_patient_id, patient_name, patient_name_other, patient_birth_date,
          patient_sex, referring_physician_name, referring_physician_name_other,
          study_description, document, patient_name_tokens,
          referring_physician_name_tokens, bytes, updated_at) =
         (n.sort_key, n.study_date, n.study_time, n.accession_number, n.study_id, n.patient_id,
          n.issuer_of_patient_id, n.patient_name, n.patient_name_other, n.patient_birth_date,
          n.patient_sex, n.referring_physician_name, n.referring_physician_name_other,
          n.study_description, n.document, n.patient_name_tokens,
          n.referring_physician_name_tokens, bytes + v_new.size - v_old.size, now())
    FROM unnest(p_studies) n
   WHERE studies.id = v_study;
  DELETE FROM series_requests WHERE series_id = v_series;
  INSERT INTO series_requests
    (institution_id, series_id, scheduled_procedure_step_id, requested_procedure_id,
     accession_number)
  SELECT p_institution, v_series, r.scheduled_procedure_step_id, r.requested_procedure_id,
         r.accession_number
    FROM unnest(p_requests) r;
  UPDATE series SET sop_classes = ARRAY(
           SELECT DISTINCT sop_class_uid FROM instances WHERE series_id = v_series ORDER BY 1)
   WHERE id = v_series;
  PERFORM restate_studies(ARRAY[v_study]);
  DELETE FROM attribute_values
   WHERE instance_id = v_old.id OR (series_id = v_series AND instance_id IS NULL)
      OR (study_id = v_study AND series_id IS NULL);
  PERFORM add_values(p_institution, p_values, ARRAY[v_study], ARRAY[v_series],
            ARRAY[v_old.id], ARRAY[v_study], ARRAY[v_series]);

  INSERT INTO audit
    (institution_id, principal, action, study_instance_uid, instances, sop_instance_uids)
  VALUES
    (p_institution, p_principal, 'replace', p_studies[1].study_instance_uid, 1,
     ARRAY[v_new.sop_instance_uid]);
  PERFORM append_changes(p_institution, 'replaced', ARRAY[p_studies[1].study_instance_uid],
            ARRAY[p_series[1].series_instance_uid], ARRAY[v_new.sop_instance_uid]);
  PERFORM check_attributes(p_attributes);
  RETURN true;
END
$$;
