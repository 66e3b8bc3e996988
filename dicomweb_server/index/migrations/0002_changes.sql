-- What becomes of instances that come again, who did what, and a feed of what changed.

ALTER TABLE institutions ADD COLUMN duplicates text COLLATE "C" NOT NULL DEFAULT 'refuse'
  CONSTRAINT institutions_duplicates CHECK (duplicates IN ('refuse', 'replace'));

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
  only_row boolean PRIMARY KEY DEFAULT true CONSTRAINT change_counter_one_row CHECK (only_row),
  last     bigint NOT NULL
) WITH (fillfactor = 10);  -- updated by every transaction, in place (HOT)
INSERT INTO change_counter (last) VALUES (0);

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
  attributes                     text
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
  attributes          text
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
  attributes          text,
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

-- What a study says of its series, after series came or went.
CREATE FUNCTION refresh_studies(p_studies bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE studies s
     SET (number_of_series, number_of_instances, modalities) = (
           SELECT count(*), coalesce(sum(e.number_of_instances), 0),
                  coalesce(array_agg(DISTINCT e.modality) FILTER (WHERE e.modality IS NOT NULL),
                           '{}')
             FROM series e
            WHERE e.study_id = s.id)
   WHERE s.id = ANY (p_studies);
END
$$;

-- Store a group in one transaction and one round trip: studies and series as far as they are
-- missing, the instances whose SOP Instance UID is free, the counts, the feed, the audit.
-- Returns a row for each that was not stored, with what has its UID; all NULL but the UID if
-- that one has gone again. Locks: studies by UID, then instances by UID, then the counter.
CREATE FUNCTION store_instances(
  p_institution integer, p_principal text,
  p_studies new_study[], p_series new_series[], p_requests new_request[],
  p_instances new_instance[]
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
       referring_physician_name_other, study_description, attributes,
       number_of_series, number_of_instances, bytes)
    SELECT p_institution, n.study_instance_uid, n.sort_key, n.study_date, n.study_time,
           n.accession_number, n.study_id, n.patient_id, n.issuer_of_patient_id, n.patient_name,
           n.patient_name_other, n.patient_birth_date, n.patient_sex, n.referring_physician_name,
           n.referring_physician_name_other, n.study_description, n.attributes, 0,
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
    RETURNING id, study_instance_uid)
  SELECT array_agg(put.id ORDER BY n.ordinality) INTO v_studies
    FROM put JOIN unnest(p_studies) WITH ORDINALITY n USING (study_instance_uid);

  WITH put AS (
    INSERT INTO series AS e
      (institution_id, study_id, series_instance_uid, modality, series_number,
       series_description, body_part_examined, pps_start_date, pps_start_time, attributes,
       number_of_instances)
    SELECT p_institution, v_studies[n.study], n.series_instance_uid, n.modality, n.series_number,
           n.series_description, n.body_part_examined, n.pps_start_date, n.pps_start_time,
           n.attributes, c.instances
      FROM unnest(p_series) WITH ORDINALITY n
      JOIN (SELECT i.series AS number, count(*) AS instances
              FROM unnest(p_instances) i GROUP BY 1) c ON c.number = n.ordinality
    ON CONFLICT (study_id, series_instance_uid) DO UPDATE
       SET number_of_instances = e.number_of_instances + EXCLUDED.number_of_instances
    RETURNING id, study_id, series_instance_uid, number_of_instances)
  -- A series without instances is never left behind, so one that has only ours is new.
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
       attributes, bulk, frame_count, encapsulated, pixel_offset, pixel_length, frame_bits,
       frame_word, frame_ranges, metadata, blob_key, size, sha256)
    SELECT p_institution, v_studies[(p_series[n.series]).study], v_series[n.series],
           n.sop_instance_uid, n.sop_class_uid, n.transfer_syntax_uid, n.instance_number,
           n.number_of_frames, n.rows, n.columns, n.dataset_offset, n.attributes, n.bulk,
           n.frame_count, n.encapsulated, n.pixel_offset, n.pixel_length, n.frame_bits,
           n.frame_word, n.frame_ranges, n.metadata, n.blob_key, n.size, n.sha256
      FROM unnest(p_instances) n ORDER BY n.sop_instance_uid
    ON CONFLICT (sop_instance_uid, institution_id) DO NOTHING
    RETURNING sop_instance_uid)
  SELECT coalesce(array_agg(sop_instance_uid), '{}') INTO v_stored FROM stored;

  IF cardinality(v_stored) < cardinality(p_instances) THEN
    UPDATE series e
       SET number_of_instances = (SELECT count(*) FROM instances i WHERE i.series_id = e.id)
     WHERE e.id = ANY (v_series);
    UPDATE studies s
       SET bytes = s.bytes - c.bytes
      FROM (SELECT v_studies[(p_series[n.series]).study] AS id, sum(n.size) AS bytes
              FROM unnest(p_instances) n WHERE n.sop_instance_uid <> ALL (v_stored)
             GROUP BY 1) c
     WHERE s.id = c.id;
    DELETE FROM series WHERE id = ANY (v_fresh) AND number_of_instances = 0;
    PERFORM refresh_studies(v_studies);
    DELETE FROM studies WHERE id = ANY (v_studies) AND number_of_instances = 0;
  ELSIF cardinality(v_fresh) > 0 THEN
    PERFORM refresh_studies(v_studies);
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
  END IF;
END
$$;

-- Put a new version in the place of an instance, if its blob is still `p_blob_key`: the old one
-- goes to superseded. The new version gives its series and study their attributes, as what is
-- sent again is sent to correct them. Returns whether it did. Locks as store_instances does.
CREATE FUNCTION replace_instance(
  p_institution integer, p_principal text, p_blob_key text,
  p_studies new_study[], p_series new_series[], p_requests new_request[],  -- one study, one series
  p_instances new_instance[]
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
          columns, dataset_offset, attributes, bulk, frame_count, encapsulated, pixel_offset,
          pixel_length, frame_bits, frame_word, frame_ranges, metadata, blob_key, size, sha256) =
         (now(), v_new.sop_class_uid, v_new.transfer_syntax_uid, v_new.instance_number,
          v_new.number_of_frames, v_new.rows, v_new.columns, v_new.dataset_offset,
          v_new.attributes, v_new.bulk, v_new.frame_count, v_new.encapsulated,
          v_new.pixel_offset, v_new.pixel_length, v_new.frame_bits, v_new.frame_word,
          v_new.frame_ranges, v_new.metadata, v_new.blob_key, v_new.size, v_new.sha256)
   WHERE id = v_old.id;
  UPDATE series
     SET (modality, series_number, series_description, body_part_examined, pps_start_date,
          pps_start_time, attributes) =
         (p_series[1].modality, p_series[1].series_number, p_series[1].series_description,
          p_series[1].body_part_examined, p_series[1].pps_start_date,
          p_series[1].pps_start_time, p_series[1].attributes)
   WHERE id = v_series;
  UPDATE studies
     SET (sort_key, study_date, study_time, accession_number, study_id, patient_id,
          issuer_of_patient_id, patient_name, patient_name_other, patient_birth_date,
          patient_sex, referring_physician_name, referring_physician_name_other,
          study_description, attributes, bytes, updated_at) =
         (n.sort_key, n.study_date, n.study_time, n.accession_number, n.study_id, n.patient_id,
          n.issuer_of_patient_id, n.patient_name, n.patient_name_other, n.patient_birth_date,
          n.patient_sex, n.referring_physician_name, n.referring_physician_name_other,
          n.study_description, n.attributes, bytes + v_new.size - v_old.size, now())
    FROM unnest(p_studies) n
   WHERE studies.id = v_study;
  DELETE FROM series_requests WHERE series_id = v_series;
  INSERT INTO series_requests
    (institution_id, series_id, scheduled_procedure_step_id, requested_procedure_id,
     accession_number)
  SELECT p_institution, v_series, r.scheduled_procedure_step_id, r.requested_procedure_id,
         r.accession_number
    FROM unnest(p_requests) r;
  PERFORM refresh_studies(ARRAY[v_study]);

  INSERT INTO audit
    (institution_id, principal, action, study_instance_uid, instances, sop_instance_uids)
  VALUES
    (p_institution, p_principal, 'replace', p_studies[1].study_instance_uid, 1,
     ARRAY[v_new.sop_instance_uid]);
  PERFORM append_changes(p_institution, 'replaced', ARRAY[p_studies[1].study_instance_uid],
            ARRAY[p_series[1].series_instance_uid], ARRAY[v_new.sop_instance_uid]);
  RETURN true;
END
$$;
