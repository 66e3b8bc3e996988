-- newest
--   $1 = 21
--   $2 = 0
--   $3 = 1
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, s.document AS study, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM studies s
  WHERE s.institution_id = $3
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $1::bigint OFFSET $2::bigint) AS page
  CROSS JOIN LATERAL (SELECT *
  FROM studies
  WHERE id = page.key OFFSET 0) s
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id;

-- newest of five
--   $1 = 21
--   $2 = 0
--   $3 = 1
--   $4 = 2
--   $5 = 3
--   $6 = 4
--   $7 = 5
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, s.document AS study, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM (SELECT key, place_0, place_1, place_2
  FROM ((SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM studies s
  WHERE s.institution_id = $3
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $1::bigint + $2::bigint) UNION ALL (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM studies s
  WHERE s.institution_id = $4
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $1::bigint + $2::bigint) UNION ALL (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM studies s
  WHERE s.institution_id = $5
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $1::bigint + $2::bigint) UNION ALL (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM studies s
  WHERE s.institution_id = $6
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $1::bigint + $2::bigint) UNION ALL (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM studies s
  WHERE s.institution_id = $7
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $1::bigint + $2::bigint)) AS walks
  ORDER BY place_0 DESC, place_1, place_2
  LIMIT $1::bigint OFFSET $2::bigint) AS page
  CROSS JOIN LATERAL (SELECT *
  FROM studies
  WHERE id = page.key OFFSET 0) s
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id;

-- newest of all
--   $1 = 21
--   $2 = 0
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, s.document AS study, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM studies s
  WHERE TRUE
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $1::bigint OFFSET $2::bigint) AS page
  CROSS JOIN LATERAL (SELECT *
  FROM studies
  WHERE id = page.key OFFSET 0) s
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id;

-- granted studies
--   $1 = 1
--   $2 = ['1.7', '1.8']
--   $3 = 21
--   $4 = 0
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, s.document AS study, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM studies s
  WHERE s.institution_id = $1
  AND s.study_instance_uid = ANY ($2::text[])
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $3::bigint OFFSET $4::bigint;

-- a name in granted studies
--   $1 = 1
--   $2 = ['1.7', '1.8']
--   $3 = 'ABC%'
--   $4 = 20200103000000
--   $5 = 21
--   $6 = 0
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, s.document AS study, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM studies s
  WHERE s.institution_id = $1
  AND s.study_instance_uid = ANY ($2::text[])
  AND coalesce(((s.patient_name <> ''
  AND s.patient_name LIKE $3 OR s.patient_name_other IS NOT NULL
  AND (split_part(s.patient_name_other, '=', 1) <> ''
  AND split_part(s.patient_name_other, '=', 1) LIKE $3 OR split_part(s.patient_name_other, '=', 2) <> ''
  AND split_part(s.patient_name_other, '=', 2) LIKE $3)))
  AND s.sort_key > 0
  AND s.sort_key >= $4, FALSE)
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $5::bigint OFFSET $6::bigint;

-- days
--   $1 = 20200103000000
--   $2 = 20200104999999
--   $3 = 21
--   $4 = 0
--   $5 = 1
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, s.document AS study, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM studies s
  WHERE s.institution_id = $5
  AND s.sort_key > 0
  AND s.sort_key >= $1
  AND s.sort_key <= $2
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $3::bigint OFFSET $4::bigint) AS page
  CROSS JOIN LATERAL (SELECT *
  FROM studies
  WHERE id = page.key OFFSET 0) s
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id;

-- combined
--   $1 = '20200103100000.000000'
--   $2 = '20200104125959.999999'
--   $3 = 20200103100000
--   $4 = 20200104125959
--   $5 = 21
--   $6 = 0
--   $7 = 1
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, s.document AS study, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM studies s
  WHERE s.institution_id = $7
  AND s.study_date IS NOT NULL
  AND (s.study_date || coalesce(s.study_time, '000000.000000')) >= $1
  AND (s.study_date || coalesce(s.study_time, '000000.000000')) <= $2
  AND s.sort_key >= $3
  AND s.sort_key <= $4
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $5::bigint OFFSET $6::bigint) AS page
  CROSS JOIN LATERAL (SELECT *
  FROM studies
  WHERE id = page.key OFFSET 0) s
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id;

-- another zone
--   $1 = 20200101000000
--   $2 = 20200105999999
--   $3 = 21
--   $4 = 0
--   $5 = 1
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, s.document AS study, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM studies s
  WHERE s.institution_id = $5
  AND s.sort_key > 0
  AND s.sort_key >= $1
  AND s.sort_key <= $2
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $3::bigint OFFSET $4::bigint) AS page
  CROSS JOIN LATERAL (SELECT *
  FROM studies
  WHERE id = page.key OFFSET 0) s
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id;

-- patient
--   $1 = 1
--   $2 = ['P77']
--   $3 = 21
--   $4 = 0
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, s.document AS study, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM studies s
  WHERE s.institution_id = $1
  AND s.patient_id = ANY ($2::text[])
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $3::bigint OFFSET $4::bigint;

-- patient of five
--   $1 = [1, 2, 3, 4, 5]
--   $2 = ['P77']
--   $3 = 21
--   $4 = 0
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, s.document AS study, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM studies s
  WHERE s.institution_id = ANY ($1::int[])
  AND s.patient_id = ANY ($2::text[])
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $3::bigint OFFSET $4::bigint;

-- patient of all
--   $1 = ['P77']
--   $2 = 21
--   $3 = 0
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, s.document AS study, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM studies s
  WHERE s.patient_id = ANY ($1::text[])
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $2::bigint OFFSET $3::bigint;

-- uids of five
--   $1 = [1, 2, 3, 4, 5]
--   $2 = ['1.7', '1.8', '1.9']
--   $3 = 21
--   $4 = 0
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, s.document AS study, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM studies s
  WHERE (s.institution_id = ANY ($1::int[])) IS TRUE
  AND s.study_instance_uid = ANY ($2::text[])
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $3::bigint OFFSET $4::bigint;

-- series of uids
--   $1 = 1
--   $2 = ['1.7', '1.8', '1.9']
--   $3 = 21
--   $4 = 0
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, e.series_instance_uid, e.number_of_instances AS number_in_series, s.document AS study, e.document AS series, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2, e.series_number AS place_3, e.series_instance_uid AS place_4
  FROM studies s JOIN series e ON e.study_id = s.id
  WHERE (s.institution_id = $1) IS TRUE
  AND s.study_instance_uid = ANY ($2::text[])
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id, e.series_number, e.series_instance_uid
  LIMIT $3::bigint OFFSET $4::bigint;

-- accession
--   $1 = 'A77%'
--   $2 = 21
--   $3 = 0
--   $4 = 1
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, s.document AS study, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM studies s
  WHERE s.institution_id = $4
  AND (s.accession_number LIKE $1)
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $2::bigint OFFSET $3::bigint) AS page
  CROSS JOIN LATERAL (SELECT *
  FROM studies
  WHERE id = page.key OFFSET 0) s
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id;

-- name
--   $1 = 'ABC%'
--   $2 = 21
--   $3 = 0
--   $4 = 1
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, s.document AS study, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM (SELECT DISTINCT key, place_0, place_1, place_2
  FROM ((SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM studies s
  WHERE s.institution_id = $4
  AND s.patient_name <> ''
  AND s.patient_name LIKE $1
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $2::bigint + $3::bigint) UNION ALL (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM studies s
  WHERE s.institution_id = $4
  AND s.patient_name_other IS NOT NULL
  AND (split_part(s.patient_name_other, '=', 1) <> ''
  AND split_part(s.patient_name_other, '=', 1) LIKE $1 OR split_part(s.patient_name_other, '=', 2) <> ''
  AND split_part(s.patient_name_other, '=', 2) LIKE $1)
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $2::bigint + $3::bigint)) AS walks
  ORDER BY place_0 DESC, place_1, place_2
  LIMIT $2::bigint OFFSET $3::bigint) AS page
  CROSS JOIN LATERAL (SELECT *
  FROM studies
  WHERE id = page.key OFFSET 0) s
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id;

-- whole name and more
--   $1 = 'ABC^JOHN^%'
--   $2 = 'ABC^JOHN'
--   $3 = 21
--   $4 = 0
--   $5 = 1
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, s.document AS study, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM (SELECT DISTINCT key, place_0, place_1, place_2
  FROM ((SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM studies s
  WHERE s.institution_id = $5
  AND s.patient_name <> ''
  AND s.patient_name LIKE $1
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $3::bigint + $4::bigint) UNION ALL (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM studies s
  WHERE s.institution_id = $5
  AND s.patient_name <> ''
  AND s.patient_name LIKE $2
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $3::bigint + $4::bigint) UNION ALL (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM studies s
  WHERE s.institution_id = $5
  AND s.patient_name_other IS NOT NULL
  AND (split_part(s.patient_name_other, '=', 1) <> ''
  AND split_part(s.patient_name_other, '=', 1) LIKE $1 OR split_part(s.patient_name_other, '=', 1) <> ''
  AND split_part(s.patient_name_other, '=', 1) LIKE $2 OR split_part(s.patient_name_other, '=', 2) <> ''
  AND split_part(s.patient_name_other, '=', 2) LIKE $1 OR split_part(s.patient_name_other, '=', 2) <> ''
  AND split_part(s.patient_name_other, '=', 2) LIKE $2)
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $3::bigint + $4::bigint)) AS walks
  ORDER BY place_0 DESC, place_1, place_2
  LIMIT $3::bigint OFFSET $4::bigint) AS page
  CROSS JOIN LATERAL (SELECT *
  FROM studies
  WHERE id = page.key OFFSET 0) s
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id;

-- name of all
--   $1 = 'ABC%'
--   $2 = 21
--   $3 = 0
--   $4 = [1, 2, 3, 4, 5]
--   $5 = 5000
--   $6 = 'ABC'
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, s.document AS study, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM (WITH RECURSIVE found (begin, beyond) AS (SELECT quarter_of((SELECT s.sort_key
  FROM studies s
  WHERE TRUE
  ORDER BY s.sort_key DESC
  LIMIT 1)), 9223372036854775807
  WHERE TRUE UNION ALL SELECT quarter_of((SELECT s.sort_key
  FROM studies s
  WHERE s.sort_key < found.begin
  ORDER BY s.sort_key DESC
  LIMIT 1)), found.begin
  FROM found
  WHERE found.begin IS NOT NULL), quarters AS (SELECT *
  FROM found
  WHERE begin IS NOT NULL
  ORDER BY begin DESC OFFSET 0) SELECT studies.*
  FROM quarters
  CROSS JOIN unnest($4::int[]) AS own (id)
  CROSS JOIN LATERAL (WITH keyed AS MATERIALIZED (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2, quarter_of(s.sort_key) = quarters.begin
  AND s.institution_id = own.id
  AND ((s.patient_name <> ''
  AND s.patient_name LIKE $1 OR s.patient_name_other IS NOT NULL
  AND (split_part(s.patient_name_other, '=', 1) <> ''
  AND split_part(s.patient_name_other, '=', 1) LIKE $1 OR split_part(s.patient_name_other, '=', 2) <> ''
  AND split_part(s.patient_name_other, '=', 2) LIKE $1))) AS meant
  FROM (SELECT name_place(own.id, quarters.begin) AS place) AS places
  CROSS JOIN LATERAL (SELECT ARRAY[place + name_key($6::text, 1)] AS key_0 OFFSET 0) AS keys
  CROSS JOIN LATERAL (SELECT *
  FROM studies s
  WHERE ((name_keys(s.institution_id, s.sort_key, s.patient_name, s.patient_name_other, s.patient_name_tokens) @> keys.key_0)) OFFSET 0) AS s
  LIMIT $5::bigint) SELECT key, place_0, place_1, place_2
  FROM keyed
  WHERE meant
  AND (SELECT count(*)
  FROM keyed) < $5::bigint UNION ALL SELECT key, place_0, place_1, place_2
  FROM (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM (SELECT *
  FROM studies s
  WHERE s.institution_id = own.id
  AND s.sort_key >= quarters.begin
  AND s.sort_key < quarters.beyond
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id OFFSET 0) AS s
  WHERE ((s.patient_name <> ''
  AND s.patient_name LIKE $1 OR s.patient_name_other IS NOT NULL
  AND (split_part(s.patient_name_other, '=', 1) <> ''
  AND split_part(s.patient_name_other, '=', 1) LIKE $1 OR split_part(s.patient_name_other, '=', 2) <> ''
  AND split_part(s.patient_name_other, '=', 2) LIKE $1)))
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $2::bigint + $3::bigint) AS passed
  WHERE (SELECT count(*)
  FROM keyed) = $5::bigint) AS studies
  ORDER BY quarters.begin DESC, place_0 DESC, place_1, place_2
  LIMIT $2::bigint OFFSET $3::bigint) AS page
  CROSS JOIN LATERAL (SELECT *
  FROM studies
  WHERE id = page.key OFFSET 0) s
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id;

-- name within
--   $1 = '%ABCDE%'
--   $2 = 21
--   $3 = 0
--   $4 = 1
--   $5 = 1000
--   $6 = [1]
--   $7 = 5000
--   $8 = 'ABC'
--   $9 = 'CDE'
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, s.document AS study, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM (WITH RECURSIVE near AS MATERIALIZED (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM (SELECT s.*
  FROM studies s
  WHERE s.institution_id = $4
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $5 OFFSET 0) AS s
  WHERE (SELECT s.sort_key / 1000000
  FROM studies s
  WHERE s.institution_id = $4
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT 1 OFFSET 0) = (SELECT s.sort_key / 1000000
  FROM studies s
  WHERE s.institution_id = $4
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT 1 OFFSET $5)
  AND ((s.patient_name <> ''
  AND s.patient_name LIKE $1 OR s.patient_name_other IS NOT NULL
  AND (split_part(s.patient_name_other, '=', 1) <> ''
  AND split_part(s.patient_name_other, '=', 1) LIKE $1 OR split_part(s.patient_name_other, '=', 2) <> ''
  AND split_part(s.patient_name_other, '=', 2) LIKE $1)))
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $2::bigint + $3::bigint), found (begin, beyond) AS (SELECT quarter_of((SELECT s.sort_key
  FROM studies s
  WHERE s.institution_id = $4
  ORDER BY s.sort_key DESC
  LIMIT 1)), 9223372036854775807
  WHERE NOT (SELECT count(*)
  FROM near) >= $2::bigint + $3::bigint UNION ALL SELECT quarter_of((SELECT s.sort_key
  FROM studies s
  WHERE s.sort_key < found.begin
  AND s.institution_id = $4
  ORDER BY s.sort_key DESC
  LIMIT 1)), found.begin
  FROM found
  WHERE found.begin IS NOT NULL), quarters AS (SELECT *
  FROM found
  WHERE begin IS NOT NULL
  ORDER BY begin DESC OFFSET 0) SELECT key
  FROM (SELECT *
  FROM near
  WHERE (SELECT count(*)
  FROM near) >= $2::bigint + $3::bigint UNION ALL (SELECT studies.*
  FROM quarters
  CROSS JOIN unnest($6::int[]) AS own (id)
  CROSS JOIN LATERAL (WITH keyed AS MATERIALIZED (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2, quarter_of(s.sort_key) = quarters.begin
  AND s.institution_id = own.id
  AND ((s.patient_name <> ''
  AND s.patient_name LIKE $1 OR s.patient_name_other IS NOT NULL
  AND (split_part(s.patient_name_other, '=', 1) <> ''
  AND split_part(s.patient_name_other, '=', 1) LIKE $1 OR split_part(s.patient_name_other, '=', 2) <> ''
  AND split_part(s.patient_name_other, '=', 2) LIKE $1))) AS meant
  FROM (SELECT name_place(own.id, quarters.begin) AS place) AS places
  CROSS JOIN LATERAL (SELECT ARRAY[place + name_key($8::text, 1), place + name_key($9::text, 1)] AS key_0 OFFSET 0) AS keys
  CROSS JOIN LATERAL (SELECT *
  FROM studies s
  WHERE ((name_keys(s.institution_id, s.sort_key, s.patient_name, s.patient_name_other, s.patient_name_tokens) @> keys.key_0)) OFFSET 0) AS s
  LIMIT $7::bigint) SELECT key, place_0, place_1, place_2
  FROM keyed
  WHERE meant
  AND (SELECT count(*)
  FROM keyed) < $7::bigint UNION ALL SELECT key, place_0, place_1, place_2
  FROM (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM (SELECT *
  FROM studies s
  WHERE s.institution_id = own.id
  AND s.sort_key >= quarters.begin
  AND s.sort_key < quarters.beyond
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id OFFSET 0) AS s
  WHERE ((s.patient_name <> ''
  AND s.patient_name LIKE $1 OR s.patient_name_other IS NOT NULL
  AND (split_part(s.patient_name_other, '=', 1) <> ''
  AND split_part(s.patient_name_other, '=', 1) LIKE $1 OR split_part(s.patient_name_other, '=', 2) <> ''
  AND split_part(s.patient_name_other, '=', 2) LIKE $1)))
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $2::bigint + $3::bigint) AS passed
  WHERE (SELECT count(*)
  FROM keyed) = $7::bigint) AS studies
  ORDER BY quarters.begin DESC, place_0 DESC, place_1, place_2
  LIMIT $2::bigint + $3::bigint)) AS studies
  ORDER BY place_0 DESC, place_1, place_2
  LIMIT $2::bigint OFFSET $3::bigint) AS page
  CROSS JOIN LATERAL (SELECT *
  FROM studies
  WHERE id = page.key OFFSET 0) s
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id;

-- name in its place
--   $1 = 'ABC%'
--   $2 = '山%'
--   $3 = 21
--   $4 = 0
--   $5 = 1
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, s.document AS study, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM studies s
  WHERE s.institution_id = $5
  AND (s.patient_name LIKE $1
  AND split_part(s.patient_name_other, '=', 1) LIKE $2)
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $3::bigint OFFSET $4::bigint) AS page
  CROSS JOIN LATERAL (SELECT *
  FROM studies
  WHERE id = page.key OFFSET 0) s
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id;

-- fuzzy
--   $1 = ['ABCDE', '~3BKD']
--   $2 = ['JOHN', '~J4N']
--   $3 = 21
--   $4 = 0
--   $5 = 1
--   $6 = 1000
--   $7 = [1]
--   $8 = 5000
--   $9 = 'ABC'
--   $10 = 'CDE'
--   $11 = '~3BKD'
--   $12 = 'JOH'
--   $13 = 'OHN'
--   $14 = '~J4N'
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, s.document AS study, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM (WITH RECURSIVE near AS MATERIALIZED (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM (SELECT s.*
  FROM studies s
  WHERE s.institution_id = $5
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $6 OFFSET 0) AS s
  WHERE (SELECT s.sort_key / 1000000
  FROM studies s
  WHERE s.institution_id = $5
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT 1 OFFSET 0) = (SELECT s.sort_key / 1000000
  FROM studies s
  WHERE s.institution_id = $5
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT 1 OFFSET $6)
  AND s.patient_name_tokens && $1::text[]
  AND s.patient_name_tokens && $2::text[]
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $3::bigint + $4::bigint), found (begin, beyond) AS (SELECT quarter_of((SELECT s.sort_key
  FROM studies s
  WHERE s.institution_id = $5
  ORDER BY s.sort_key DESC
  LIMIT 1)), 9223372036854775807
  WHERE NOT (SELECT count(*)
  FROM near) >= $3::bigint + $4::bigint UNION ALL SELECT quarter_of((SELECT s.sort_key
  FROM studies s
  WHERE s.sort_key < found.begin
  AND s.institution_id = $5
  ORDER BY s.sort_key DESC
  LIMIT 1)), found.begin
  FROM found
  WHERE found.begin IS NOT NULL), quarters AS (SELECT *
  FROM found
  WHERE begin IS NOT NULL
  ORDER BY begin DESC OFFSET 0) SELECT key
  FROM (SELECT *
  FROM near
  WHERE (SELECT count(*)
  FROM near) >= $3::bigint + $4::bigint UNION ALL (SELECT studies.*
  FROM quarters
  CROSS JOIN unnest($7::int[]) AS own (id)
  CROSS JOIN LATERAL (WITH keyed AS MATERIALIZED (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2, quarter_of(s.sort_key) = quarters.begin
  AND s.institution_id = own.id
  AND s.patient_name_tokens && $1::text[]
  AND s.patient_name_tokens && $2::text[] AS meant
  FROM (SELECT name_place(own.id, quarters.begin) AS place) AS places
  CROSS JOIN LATERAL (SELECT ARRAY[place + name_key($9::text, 1), place + name_key($10::text, 1)] AS key_0, ARRAY[place + name_key($11::text, 0)] AS key_1, ARRAY[place + name_key($12::text, 1), place + name_key($13::text, 1)] AS key_2, ARRAY[place + name_key($14::text, 0)] AS key_3 OFFSET 0) AS keys
  CROSS JOIN LATERAL (SELECT *
  FROM studies s
  WHERE ((name_keys(s.institution_id, s.sort_key, s.patient_name, s.patient_name_other, s.patient_name_tokens) @> keys.key_0 OR name_keys(s.institution_id, s.sort_key, s.patient_name, s.patient_name_other, s.patient_name_tokens) && keys.key_1)
  AND (name_keys(s.institution_id, s.sort_key, s.patient_name, s.patient_name_other, s.patient_name_tokens) @> keys.key_2 OR name_keys(s.institution_id, s.sort_key, s.patient_name, s.patient_name_other, s.patient_name_tokens) && keys.key_3)) OFFSET 0) AS s
  LIMIT $8::bigint) SELECT key, place_0, place_1, place_2
  FROM keyed
  WHERE meant
  AND (SELECT count(*)
  FROM keyed) < $8::bigint UNION ALL SELECT key, place_0, place_1, place_2
  FROM (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM (SELECT *
  FROM studies s
  WHERE s.institution_id = own.id
  AND s.sort_key >= quarters.begin
  AND s.sort_key < quarters.beyond
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id OFFSET 0) AS s
  WHERE s.patient_name_tokens && $1::text[]
  AND s.patient_name_tokens && $2::text[]
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $3::bigint + $4::bigint) AS passed
  WHERE (SELECT count(*)
  FROM keyed) = $8::bigint) AS studies
  ORDER BY quarters.begin DESC, place_0 DESC, place_1, place_2
  LIMIT $3::bigint + $4::bigint)) AS studies
  ORDER BY place_0 DESC, place_1, place_2
  LIMIT $3::bigint OFFSET $4::bigint) AS page
  CROSS JOIN LATERAL (SELECT *
  FROM studies
  WHERE id = page.key OFFSET 0) s
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id;

-- fuzzy with stars
--   $1 = ['ABCDE', '~3BKD']
--   $2 = '%ABCDE%'
--   $3 = 21
--   $4 = 0
--   $5 = 1
--   $6 = 1000
--   $7 = [1]
--   $8 = 5000
--   $9 = 'ABC'
--   $10 = 'CDE'
--   $11 = '~3BKD'
--   $12 = 'ABC'
--   $13 = 'CDE'
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, s.document AS study, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM (WITH RECURSIVE near AS MATERIALIZED (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM (SELECT s.*
  FROM studies s
  WHERE s.institution_id = $5
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $6 OFFSET 0) AS s
  WHERE (SELECT s.sort_key / 1000000
  FROM studies s
  WHERE s.institution_id = $5
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT 1 OFFSET 0) = (SELECT s.sort_key / 1000000
  FROM studies s
  WHERE s.institution_id = $5
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT 1 OFFSET $6)
  AND (s.patient_name_tokens && $1::text[] OR (s.patient_name <> ''
  AND s.patient_name LIKE $2 OR s.patient_name_other IS NOT NULL
  AND (split_part(s.patient_name_other, '=', 1) <> ''
  AND split_part(s.patient_name_other, '=', 1) LIKE $2 OR split_part(s.patient_name_other, '=', 2) <> ''
  AND split_part(s.patient_name_other, '=', 2) LIKE $2)))
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $3::bigint + $4::bigint), found (begin, beyond) AS (SELECT quarter_of((SELECT s.sort_key
  FROM studies s
  WHERE s.institution_id = $5
  ORDER BY s.sort_key DESC
  LIMIT 1)), 9223372036854775807
  WHERE NOT (SELECT count(*)
  FROM near) >= $3::bigint + $4::bigint UNION ALL SELECT quarter_of((SELECT s.sort_key
  FROM studies s
  WHERE s.sort_key < found.begin
  AND s.institution_id = $5
  ORDER BY s.sort_key DESC
  LIMIT 1)), found.begin
  FROM found
  WHERE found.begin IS NOT NULL), quarters AS (SELECT *
  FROM found
  WHERE begin IS NOT NULL
  ORDER BY begin DESC OFFSET 0) SELECT key
  FROM (SELECT *
  FROM near
  WHERE (SELECT count(*)
  FROM near) >= $3::bigint + $4::bigint UNION ALL (SELECT studies.*
  FROM quarters
  CROSS JOIN unnest($7::int[]) AS own (id)
  CROSS JOIN LATERAL (WITH keyed AS MATERIALIZED (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2, quarter_of(s.sort_key) = quarters.begin
  AND s.institution_id = own.id
  AND (s.patient_name_tokens && $1::text[] OR (s.patient_name <> ''
  AND s.patient_name LIKE $2 OR s.patient_name_other IS NOT NULL
  AND (split_part(s.patient_name_other, '=', 1) <> ''
  AND split_part(s.patient_name_other, '=', 1) LIKE $2 OR split_part(s.patient_name_other, '=', 2) <> ''
  AND split_part(s.patient_name_other, '=', 2) LIKE $2))) AS meant
  FROM (SELECT name_place(own.id, quarters.begin) AS place) AS places
  CROSS JOIN LATERAL (SELECT ARRAY[place + name_key($9::text, 1), place + name_key($10::text, 1)] AS key_0, ARRAY[place + name_key($11::text, 0)] AS key_1, ARRAY[place + name_key($12::text, 1), place + name_key($13::text, 1)] AS key_2 OFFSET 0) AS keys
  CROSS JOIN LATERAL (SELECT *
  FROM studies s
  WHERE ((name_keys(s.institution_id, s.sort_key, s.patient_name, s.patient_name_other, s.patient_name_tokens) @> keys.key_0 OR name_keys(s.institution_id, s.sort_key, s.patient_name, s.patient_name_other, s.patient_name_tokens) && keys.key_1) OR (name_keys(s.institution_id, s.sort_key, s.patient_name, s.patient_name_other, s.patient_name_tokens) @> keys.key_2)) OFFSET 0) AS s
  LIMIT $8::bigint) SELECT key, place_0, place_1, place_2
  FROM keyed
  WHERE meant
  AND (SELECT count(*)
  FROM keyed) < $8::bigint UNION ALL SELECT key, place_0, place_1, place_2
  FROM (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM (SELECT *
  FROM studies s
  WHERE s.institution_id = own.id
  AND s.sort_key >= quarters.begin
  AND s.sort_key < quarters.beyond
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id OFFSET 0) AS s
  WHERE (s.patient_name_tokens && $1::text[] OR (s.patient_name <> ''
  AND s.patient_name LIKE $2 OR s.patient_name_other IS NOT NULL
  AND (split_part(s.patient_name_other, '=', 1) <> ''
  AND split_part(s.patient_name_other, '=', 1) LIKE $2 OR split_part(s.patient_name_other, '=', 2) <> ''
  AND split_part(s.patient_name_other, '=', 2) LIKE $2)))
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $3::bigint + $4::bigint) AS passed
  WHERE (SELECT count(*)
  FROM keyed) = $8::bigint) AS studies
  ORDER BY quarters.begin DESC, place_0 DESC, place_1, place_2
  LIMIT $3::bigint + $4::bigint)) AS studies
  ORDER BY place_0 DESC, place_1, place_2
  LIMIT $3::bigint OFFSET $4::bigint) AS page
  CROSS JOIN LATERAL (SELECT *
  FROM studies
  WHERE id = page.key OFFSET 0) s
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id;

-- a modality
--   $1 = 21
--   $2 = 0
--   $3 = 'CT'
--   $4 = 1
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, s.document AS study, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM study_modalities AS s (id, sort_key, institution_id, modality, study_instance_uid)
  WHERE s.institution_id = $4
  AND s.modality = $3
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $1::bigint OFFSET $2::bigint) AS page
  CROSS JOIN LATERAL (SELECT *
  FROM studies
  WHERE id = page.key OFFSET 0) s
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id;

-- a modality of five
--   $1 = 21
--   $2 = 0
--   $3 = 'CT'
--   $4 = 1
--   $5 = 2
--   $6 = 3
--   $7 = 4
--   $8 = 5
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, s.document AS study, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM (SELECT key, place_0, place_1, place_2
  FROM ((SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM study_modalities AS s (id, sort_key, institution_id, modality, study_instance_uid)
  WHERE s.institution_id = $4
  AND s.modality = $3
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $1::bigint + $2::bigint) UNION ALL (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM study_modalities AS s (id, sort_key, institution_id, modality, study_instance_uid)
  WHERE s.institution_id = $5
  AND s.modality = $3
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $1::bigint + $2::bigint) UNION ALL (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM study_modalities AS s (id, sort_key, institution_id, modality, study_instance_uid)
  WHERE s.institution_id = $6
  AND s.modality = $3
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $1::bigint + $2::bigint) UNION ALL (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM study_modalities AS s (id, sort_key, institution_id, modality, study_instance_uid)
  WHERE s.institution_id = $7
  AND s.modality = $3
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $1::bigint + $2::bigint) UNION ALL (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM study_modalities AS s (id, sort_key, institution_id, modality, study_instance_uid)
  WHERE s.institution_id = $8
  AND s.modality = $3
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $1::bigint + $2::bigint)) AS walks
  ORDER BY place_0 DESC, place_1, place_2
  LIMIT $1::bigint OFFSET $2::bigint) AS page
  CROSS JOIN LATERAL (SELECT *
  FROM studies
  WHERE id = page.key OFFSET 0) s
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id;

-- two modalities
--   $1 = 21
--   $2 = 0
--   $3 = 1
--   $4 = ['CT', 'ECG']
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, s.document AS study, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM (SELECT DISTINCT key, place_0, place_1, place_2
  FROM unnest($4::text[]) AS wanted (modality)
  CROSS JOIN LATERAL (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM study_modalities AS s (id, sort_key, institution_id, modality, study_instance_uid)
  WHERE s.institution_id = $3
  AND s.modality = wanted.modality
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $1::bigint + $2::bigint) AS walk
  ORDER BY place_0 DESC, place_1, place_2
  LIMIT $1::bigint OFFSET $2::bigint) AS page
  CROSS JOIN LATERAL (SELECT *
  FROM studies
  WHERE id = page.key OFFSET 0) s
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id;

-- two modalities of five
--   $1 = 21
--   $2 = 0
--   $3 = [1, 2, 3, 4, 5]
--   $4 = ['CT', 'ECG']
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, s.document AS study, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM (SELECT DISTINCT key, place_0, place_1, place_2
  FROM unnest($3::int[]) AS own (id)
  CROSS JOIN unnest($4::text[]) AS wanted (modality)
  CROSS JOIN LATERAL (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM study_modalities AS s (id, sort_key, institution_id, modality, study_instance_uid)
  WHERE s.institution_id = own.id
  AND s.modality = wanted.modality
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $1::bigint + $2::bigint) AS walk
  ORDER BY place_0 DESC, place_1, place_2
  LIMIT $1::bigint OFFSET $2::bigint) AS page
  CROSS JOIN LATERAL (SELECT *
  FROM studies
  WHERE id = page.key OFFSET 0) s
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id;

-- a modality since
--   $1 = ['ECG']
--   $2 = 'S%'
--   $3 = 20200601000000
--   $4 = 21
--   $5 = 0
--   $6 = 1
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, s.document AS study, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM studies s
  WHERE s.institution_id = $6
  AND s.modalities && $1::text[]
  AND (s.study_id LIKE $2)
  AND s.sort_key > 0
  AND s.sort_key >= $3
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $4::bigint OFFSET $5::bigint) AS page
  CROSS JOIN LATERAL (SELECT *
  FROM studies
  WHERE id = page.key OFFSET 0) s
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id;

-- both modalities
--   $1 = ['CT', 'SR']
--   $2 = 20200103000000
--   $3 = 20200103999999
--   $4 = 21
--   $5 = 0
--   $6 = 1
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, s.document AS study, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM studies s
  WHERE s.institution_id = $6
  AND s.modalities @> $1::text[]
  AND s.sort_key > 0
  AND s.sort_key >= $2
  AND s.sort_key <= $3
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $4::bigint OFFSET $5::bigint) AS page
  CROSS JOIN LATERAL (SELECT *
  FROM studies
  WHERE id = page.key OFFSET 0) s
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id;

-- a series key
--   $1 = ['ECG']
--   $2 = 21
--   $3 = 0
--   $4 = 'ECG'
--   $5 = 1
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, s.document AS study, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM study_modalities AS s (id, sort_key, institution_id, modality, study_instance_uid)
  WHERE s.institution_id = $5
  AND EXISTS (SELECT
  FROM series e
  WHERE e.study_id = s.id
  AND e.modality = ANY ($1::text[]))
  AND s.modality = $4
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $2::bigint OFFSET $3::bigint) AS page
  CROSS JOIN LATERAL (SELECT *
  FROM studies
  WHERE id = page.key OFFSET 0) s
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id;

-- series keys
--   $1 = 1
--   $2 = ['CT']
--   $3 = ['CT']
--   $4 = [1]
--   $5 = ['P77']
--   $6 = 21
--   $7 = 0
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, s.document AS study, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM studies s
  WHERE s.institution_id = $1
  AND s.modalities && $2::text[]
  AND s.patient_id = ANY ($5::text[])
  AND EXISTS (SELECT
  FROM series e
  WHERE e.study_id = s.id
  AND e.modality = ANY ($3::text[])
  AND e.series_number = ANY ($4::bigint[]))
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $6::bigint OFFSET $7::bigint;

-- an instance key
--   $1 = 1
--   $2 = ['1.7.1.1']
--   $3 = 21
--   $4 = 0
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, s.document AS study, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM studies s
  WHERE s.institution_id = $1
  AND s.id = ANY (ARRAY (SELECT i.study_id
  FROM instances i
  WHERE i.sop_instance_uid = ANY ($2::text[])))
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $3::bigint OFFSET $4::bigint;

-- keys of every level
--   $1 = 1
--   $2 = ['S77']
--   $3 = [1]
--   $4 = [2]
--   $5 = 21
--   $6 = 0
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, s.document AS study, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM studies s
  WHERE s.institution_id = $1
  AND s.study_id = ANY ($2::text[])
  AND EXISTS (SELECT
  FROM series e JOIN instances i ON i.series_id = e.id
  WHERE e.study_id = s.id
  AND e.series_number = ANY ($3::bigint[])
  AND i.instance_number = ANY ($4::bigint[]))
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $5::bigint OFFSET $6::bigint;

-- a request
--   $1 = 1
--   $2 = ['R77']
--   $3 = 21
--   $4 = 0
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, e.series_instance_uid, e.number_of_instances AS number_in_series, s.document AS study, e.document AS series, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2, e.series_number AS place_3, e.series_instance_uid AS place_4
  FROM studies s JOIN series e ON e.study_id = s.id
  WHERE s.institution_id = $1
  AND EXISTS (SELECT
  FROM series_requests r
  WHERE r.series_id = e.id
  AND r.scheduled_procedure_step_id = ANY ($2::text[]))
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id, e.series_number, e.series_instance_uid
  LIMIT $3::bigint OFFSET $4::bigint;

-- series of a modality
--   $1 = ['ECG']
--   $2 = 21
--   $3 = 0
--   $4 = 'ECG'
--   $5 = 1
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, e.series_instance_uid, e.number_of_instances AS number_in_series, s.document AS study, e.document AS series, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2, e.series_number AS place_3, e.series_instance_uid AS place_4
  FROM (SELECT e.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2, e.series_number AS place_3, e.series_instance_uid AS place_4
  FROM study_modalities AS s (id, sort_key, institution_id, modality, study_instance_uid) JOIN series e ON e.study_id = s.id
  WHERE s.institution_id = $5
  AND e.modality = ANY ($1::text[])
  AND s.modality = $4
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id, e.series_number, e.series_instance_uid
  LIMIT $2::bigint OFFSET $3::bigint) AS page
  CROSS JOIN LATERAL (SELECT *
  FROM series
  WHERE id = page.key OFFSET 0) e
  CROSS JOIN LATERAL (SELECT *
  FROM studies
  WHERE id = e.study_id OFFSET 0) s
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id, e.series_number, e.series_instance_uid;

-- series of a modality of all
--   $1 = 21
--   $2 = 0
--   $3 = 'ECG'
--   $4 = ['ECG']
--   $5 = 21
--   $6 = 0
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, e.series_instance_uid, e.number_of_instances AS number_in_series, s.document AS study, e.document AS series, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2, e.series_number AS place_3, e.series_instance_uid AS place_4
  FROM (SELECT e.id AS key
  FROM (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM study_modalities AS s (id, sort_key, institution_id, modality, study_instance_uid)
  WHERE s.modality = $3
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $1::bigint OFFSET $2::bigint) AS s (key, sort_key, study_instance_uid, id) JOIN series e ON e.study_id = s.id
  WHERE e.modality = ANY ($4::text[])
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id, e.series_number, e.series_instance_uid
  LIMIT $5::bigint OFFSET $6::bigint) AS page
  CROSS JOIN LATERAL (SELECT *
  FROM series
  WHERE id = page.key OFFSET 0) e
  CROSS JOIN LATERAL (SELECT *
  FROM studies
  WHERE id = e.study_id OFFSET 0) s
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id, e.series_number, e.series_instance_uid;

-- series of a study
--   $1 = 1
--   $2 = '1.7'
--   $3 = 21
--   $4 = 0
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, e.series_instance_uid, e.number_of_instances AS number_in_series, s.document AS study, e.document AS series, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2, e.series_number AS place_3, e.series_instance_uid AS place_4
  FROM studies s JOIN series e ON e.study_id = s.id
  WHERE s.institution_id = $1
  AND s.study_instance_uid = $2
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id, e.series_number, e.series_instance_uid
  LIMIT $3::bigint OFFSET $4::bigint;

-- instances of a series
--   $1 = '1.7'
--   $2 = '1.7.1'
--   $3 = 21
--   $4 = 0
--   $5 = 1
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, e.series_instance_uid, e.number_of_instances AS number_in_series, i.sop_instance_uid, i.transfer_syntax_uid, s.document AS study, e.document AS series, i.document AS instance, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2, e.series_number AS place_3, e.series_instance_uid AS place_4, i.instance_number AS place_5, i.sop_instance_uid AS place_6
  FROM (SELECT i.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2, e.series_number AS place_3, e.series_instance_uid AS place_4, i.instance_number AS place_5, i.sop_instance_uid AS place_6
  FROM studies s JOIN series e ON e.study_id = s.id JOIN instances i ON i.series_id = e.id
  WHERE s.institution_id = $5
  AND s.study_instance_uid = $1
  AND e.series_instance_uid = $2
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id, e.series_number, e.series_instance_uid, i.instance_number, i.sop_instance_uid
  LIMIT $3::bigint OFFSET $4::bigint) AS page
  CROSS JOIN LATERAL (SELECT *
  FROM instances
  WHERE id = page.key OFFSET 0) i
  CROSS JOIN LATERAL (SELECT *
  FROM series
  WHERE id = i.series_id OFFSET 0) e
  CROSS JOIN LATERAL (SELECT *
  FROM studies
  WHERE id = e.study_id OFFSET 0) s
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id, e.series_number, e.series_instance_uid, i.instance_number, i.sop_instance_uid;

-- the metadata of instances
--   $1 = ['1.7.1']
--   $2 = 21
--   $3 = 0
--   $4 = 1
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, e.series_instance_uid, e.number_of_instances AS number_in_series, i.sop_instance_uid, i.transfer_syntax_uid, s.document AS study, e.document AS series, i.document AS instance, i.metadata, ARRAY (SELECT DISTINCT unnest(c.sop_classes)
  FROM series c
                         
  WHERE c.study_id = s.id
  ORDER BY 1) AS sop_classes, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2, e.series_number AS place_3, e.series_instance_uid AS place_4, i.instance_number AS place_5, i.sop_instance_uid AS place_6
  FROM (SELECT i.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2, e.series_number AS place_3, e.series_instance_uid AS place_4, i.instance_number AS place_5, i.sop_instance_uid AS place_6
  FROM studies s JOIN series e ON e.study_id = s.id JOIN instances i ON i.series_id = e.id
  WHERE s.institution_id = $4
  AND e.series_instance_uid = ANY ($1::text[])
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id, e.series_number, e.series_instance_uid, i.instance_number, i.sop_instance_uid
  LIMIT $2::bigint OFFSET $3::bigint) AS page
  CROSS JOIN LATERAL (SELECT *
  FROM instances
  WHERE id = page.key OFFSET 0) i
  CROSS JOIN LATERAL (SELECT *
  FROM series
  WHERE id = i.series_id OFFSET 0) e
  CROSS JOIN LATERAL (SELECT *
  FROM studies
  WHERE id = e.study_id OFFSET 0) s
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id, e.series_number, e.series_instance_uid, i.instance_number, i.sop_instance_uid;

-- deep
--   $1 = 21
--   $2 = 100000
--   $3 = 1
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, s.document AS study, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM studies s
  WHERE s.institution_id = $3
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $1::bigint OFFSET $2::bigint) AS page
  CROSS JOIN LATERAL (SELECT *
  FROM studies
  WHERE id = page.key OFFSET 0) s
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id;

-- next
--   $1 = 20200301000030
--   $2 = '1.59'
--   $3 = 59
--   $4 = 21
--   $5 = 0
--   $6 = 1
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, s.document AS study, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM studies s
  WHERE s.institution_id = $6
  AND s.sort_key <= $1::bigint
  AND (s.sort_key < $1::bigint OR s.sort_key = $1::bigint
  AND (s.study_instance_uid > $2::text OR s.study_instance_uid IS NULL) OR s.sort_key = $1::bigint
  AND s.study_instance_uid = $2::text
  AND (s.id > $3::bigint OR s.id IS NULL))
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $4::bigint OFFSET $5::bigint) AS page
  CROSS JOIN LATERAL (SELECT *
  FROM studies
  WHERE id = page.key OFFSET 0) s
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id;

-- next of five
--   $1 = 20200301000030
--   $2 = '1.59'
--   $3 = 59
--   $4 = 21
--   $5 = 0
--   $6 = 1
--   $7 = 2
--   $8 = 3
--   $9 = 4
--   $10 = 5
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, s.document AS study, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM (SELECT key, place_0, place_1, place_2
  FROM ((SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM studies s
  WHERE s.institution_id = $6
  AND s.sort_key <= $1::bigint
  AND (s.sort_key < $1::bigint OR s.sort_key = $1::bigint
  AND (s.study_instance_uid > $2::text OR s.study_instance_uid IS NULL) OR s.sort_key = $1::bigint
  AND s.study_instance_uid = $2::text
  AND (s.id > $3::bigint OR s.id IS NULL))
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $4::bigint + $5::bigint) UNION ALL (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM studies s
  WHERE s.institution_id = $7
  AND s.sort_key <= $1::bigint
  AND (s.sort_key < $1::bigint OR s.sort_key = $1::bigint
  AND (s.study_instance_uid > $2::text OR s.study_instance_uid IS NULL) OR s.sort_key = $1::bigint
  AND s.study_instance_uid = $2::text
  AND (s.id > $3::bigint OR s.id IS NULL))
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $4::bigint + $5::bigint) UNION ALL (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM studies s
  WHERE s.institution_id = $8
  AND s.sort_key <= $1::bigint
  AND (s.sort_key < $1::bigint OR s.sort_key = $1::bigint
  AND (s.study_instance_uid > $2::text OR s.study_instance_uid IS NULL) OR s.sort_key = $1::bigint
  AND s.study_instance_uid = $2::text
  AND (s.id > $3::bigint OR s.id IS NULL))
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $4::bigint + $5::bigint) UNION ALL (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM studies s
  WHERE s.institution_id = $9
  AND s.sort_key <= $1::bigint
  AND (s.sort_key < $1::bigint OR s.sort_key = $1::bigint
  AND (s.study_instance_uid > $2::text OR s.study_instance_uid IS NULL) OR s.sort_key = $1::bigint
  AND s.study_instance_uid = $2::text
  AND (s.id > $3::bigint OR s.id IS NULL))
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $4::bigint + $5::bigint) UNION ALL (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM studies s
  WHERE s.institution_id = $10
  AND s.sort_key <= $1::bigint
  AND (s.sort_key < $1::bigint OR s.sort_key = $1::bigint
  AND (s.study_instance_uid > $2::text OR s.study_instance_uid IS NULL) OR s.sort_key = $1::bigint
  AND s.study_instance_uid = $2::text
  AND (s.id > $3::bigint OR s.id IS NULL))
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $4::bigint + $5::bigint)) AS walks
  ORDER BY place_0 DESC, place_1, place_2
  LIMIT $4::bigint OFFSET $5::bigint) AS page
  CROSS JOIN LATERAL (SELECT *
  FROM studies
  WHERE id = page.key OFFSET 0) s
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id;

-- next of a modality
--   $1 = 20200301000030
--   $2 = '1.59'
--   $3 = 59
--   $4 = 21
--   $5 = 0
--   $6 = 'CT'
--   $7 = 1
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, s.document AS study, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM study_modalities AS s (id, sort_key, institution_id, modality, study_instance_uid)
  WHERE s.institution_id = $7
  AND s.sort_key <= $1::bigint
  AND (s.sort_key < $1::bigint OR s.sort_key = $1::bigint
  AND (s.study_instance_uid > $2::text OR s.study_instance_uid IS NULL) OR s.sort_key = $1::bigint
  AND s.study_instance_uid = $2::text
  AND (s.id > $3::bigint OR s.id IS NULL))
  AND s.modality = $6
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $4::bigint OFFSET $5::bigint) AS page
  CROSS JOIN LATERAL (SELECT *
  FROM studies
  WHERE id = page.key OFFSET 0) s
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id;

-- next instances
--   $1 = 20200301000030
--   $2 = '1.59'
--   $3 = 59
--   $4 = 1
--   $5 = '1.59.1'
--   $6 = '1.59.1.1'
--   $7 = 21
--   $8 = 0
--   $9 = 1
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, e.series_instance_uid, e.number_of_instances AS number_in_series, i.sop_instance_uid, i.transfer_syntax_uid, s.document AS study, e.document AS series, i.document AS instance, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2, e.series_number AS place_3, e.series_instance_uid AS place_4, i.instance_number AS place_5, i.sop_instance_uid AS place_6
  FROM (SELECT i.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2, e.series_number AS place_3, e.series_instance_uid AS place_4, i.instance_number AS place_5, i.sop_instance_uid AS place_6
  FROM studies s JOIN series e ON e.study_id = s.id JOIN instances i ON i.series_id = e.id
  WHERE s.institution_id = $9
  AND s.sort_key <= $1::bigint
  AND (s.sort_key < $1::bigint OR s.sort_key = $1::bigint
  AND (s.study_instance_uid > $2::text OR s.study_instance_uid IS NULL) OR s.sort_key = $1::bigint
  AND s.study_instance_uid = $2::text
  AND (s.id > $3::bigint OR s.id IS NULL) OR s.sort_key = $1::bigint
  AND s.study_instance_uid = $2::text
  AND s.id = $3::bigint
  AND (e.series_number > $4::bigint OR e.series_number IS NULL) OR s.sort_key = $1::bigint
  AND s.study_instance_uid = $2::text
  AND s.id = $3::bigint
  AND e.series_number = $4::bigint
  AND (e.series_instance_uid > $5::text OR e.series_instance_uid IS NULL) OR s.sort_key = $1::bigint
  AND s.study_instance_uid = $2::text
  AND s.id = $3::bigint
  AND e.series_number = $4::bigint
  AND e.series_instance_uid = $5::text
  AND FALSE OR s.sort_key = $1::bigint
  AND s.study_instance_uid = $2::text
  AND s.id = $3::bigint
  AND e.series_number = $4::bigint
  AND e.series_instance_uid = $5::text
  AND i.instance_number IS NULL
  AND (i.sop_instance_uid > $6::text OR i.sop_instance_uid IS NULL))
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id, e.series_number, e.series_instance_uid, i.instance_number, i.sop_instance_uid
  LIMIT $7::bigint OFFSET $8::bigint) AS page
  CROSS JOIN LATERAL (SELECT *
  FROM instances
  WHERE id = page.key OFFSET 0) i
  CROSS JOIN LATERAL (SELECT *
  FROM series
  WHERE id = i.series_id OFFSET 0) e
  CROSS JOIN LATERAL (SELECT *
  FROM studies
  WHERE id = e.study_id OFFSET 0) s
  ORDER BY s.sort_key DESC, s.study_instance_uid, s.id, e.series_number, e.series_instance_uid, i.instance_number, i.sop_instance_uid;

-- by name
--   $1 = 21
--   $2 = 0
--   $3 = 1
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, s.document AS study, s.patient_name AS place_0, s.sort_key AS place_1, s.study_instance_uid AS place_2, s.id AS place_3
  FROM (SELECT s.id AS key, s.patient_name AS place_0, s.sort_key AS place_1, s.study_instance_uid AS place_2, s.id AS place_3
  FROM studies s
  WHERE s.institution_id = $3
  ORDER BY s.patient_name, s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $1::bigint OFFSET $2::bigint) AS page
  CROSS JOIN LATERAL (SELECT *
  FROM studies
  WHERE id = page.key OFFSET 0) s
  ORDER BY s.patient_name, s.sort_key DESC, s.study_instance_uid, s.id;

-- next by name, descending
--   $1 = 'ABC'
--   $2 = 20200301000030
--   $3 = '1.59'
--   $4 = 59
--   $5 = 21
--   $6 = 0
--   $7 = 1
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, s.document AS study, s.patient_name AS place_0, s.sort_key AS place_1, s.study_instance_uid AS place_2, s.id AS place_3
  FROM (SELECT s.id AS key, s.patient_name AS place_0, s.sort_key AS place_1, s.study_instance_uid AS place_2, s.id AS place_3
  FROM studies s
  WHERE s.institution_id = $7
  AND (s.patient_name < $1::text OR s.patient_name = $1::text
  AND s.sort_key < $2::bigint OR s.patient_name = $1::text
  AND s.sort_key = $2::bigint
  AND (s.study_instance_uid > $3::text OR s.study_instance_uid IS NULL) OR s.patient_name = $1::text
  AND s.sort_key = $2::bigint
  AND s.study_instance_uid = $3::text
  AND (s.id > $4::bigint OR s.id IS NULL))
  ORDER BY s.patient_name DESC, s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $5::bigint OFFSET $6::bigint) AS page
  CROSS JOIN LATERAL (SELECT *
  FROM studies
  WHERE id = page.key OFFSET 0) s
  ORDER BY s.patient_name DESC, s.sort_key DESC, s.study_instance_uid, s.id;

-- next by what has no value
--   $1 = 20200301000030
--   $2 = '1.59'
--   $3 = 59
--   $4 = 21
--   $5 = 0
--   $6 = 1
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, s.document AS study, s.patient_name AS place_0, s.sort_key AS place_1, s.study_instance_uid AS place_2, s.id AS place_3
  FROM (SELECT s.id AS key, s.patient_name AS place_0, s.sort_key AS place_1, s.study_instance_uid AS place_2, s.id AS place_3
  FROM studies s
  WHERE s.institution_id = $6
  AND (FALSE OR s.patient_name IS NULL
  AND s.sort_key < $1::bigint OR s.patient_name IS NULL
  AND s.sort_key = $1::bigint
  AND (s.study_instance_uid > $2::text OR s.study_instance_uid IS NULL) OR s.patient_name IS NULL
  AND s.sort_key = $1::bigint
  AND s.study_instance_uid = $2::text
  AND (s.id > $3::bigint OR s.id IS NULL))
  ORDER BY s.patient_name, s.sort_key DESC, s.study_instance_uid, s.id
  LIMIT $4::bigint OFFSET $5::bigint) AS page
  CROSS JOIN LATERAL (SELECT *
  FROM studies
  WHERE id = page.key OFFSET 0) s
  ORDER BY s.patient_name, s.sort_key DESC, s.study_instance_uid, s.id;

-- oldest
--   $1 = 21
--   $2 = 0
--   $3 = 1
SELECT s.study_instance_uid, s.modalities, s.number_of_series, s.number_of_instances, s.document AS study, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM (SELECT s.id AS key, s.sort_key AS place_0, s.study_instance_uid AS place_1, s.id AS place_2
  FROM studies s
  WHERE s.institution_id = $3
  ORDER BY s.sort_key, s.study_instance_uid, s.id
  LIMIT $1::bigint OFFSET $2::bigint) AS page
  CROSS JOIN LATERAL (SELECT *
  FROM studies
  WHERE id = page.key OFFSET 0) s
  ORDER BY s.sort_key, s.study_instance_uid, s.id;

-- count: days
--   $1 = 20200103000000
--   $2 = 20200104999999
--   $3 = 1
--   $4 = 10001
SELECT (count(*))::bigint
  FROM (SELECT
  FROM studies s
  WHERE s.institution_id = $3
  AND s.sort_key > 0
  AND s.sort_key >= $1
  AND s.sort_key <= $2
  LIMIT $4) AS counted;

-- count: a modality
--   $1 = 1
--   $2 = 'CT'
--   $3 = 10001
SELECT (count(*))::bigint
  FROM (SELECT
  FROM study_modalities AS s (id, sort_key, institution_id, modality, study_instance_uid)
  WHERE s.institution_id = $1
  AND s.modality = $2
  LIMIT $3) AS counted;

-- count: two modalities
--   $1 = ['CT', 'ECG']
--   $2 = 1
--   $3 = 10001
SELECT (count(*))::bigint
  FROM (SELECT
  FROM studies s
  WHERE s.institution_id = $2
  AND s.modalities && $1::text[]
  LIMIT $3) AS counted;

-- count: series keys
--   $1 = ['CT']
--   $2 = ['CT']
--   $3 = [1]
--   $4 = ['P77']
--   $5 = 1
--   $6 = 10001
SELECT (count(*))::bigint
  FROM (SELECT
  FROM studies s
  WHERE s.institution_id = $5
  AND s.modalities && $1::text[]
  AND s.patient_id = ANY ($4::text[])
  AND EXISTS (SELECT
  FROM series e
  WHERE e.study_id = s.id
  AND e.modality = ANY ($2::text[])
  AND e.series_number = ANY ($3::bigint[]))
  LIMIT $6) AS counted;

-- count: series of a modality
--   $1 = ['ECG']
--   $2 = 1
--   $3 = 'ECG'
--   $4 = 10001
SELECT (count(*))::bigint
  FROM (SELECT
  FROM study_modalities AS s (id, sort_key, institution_id, modality, study_instance_uid) JOIN series e ON e.study_id = s.id
  WHERE s.institution_id = $2
  AND e.modality = ANY ($1::text[])
  AND s.modality = $3
  LIMIT $4) AS counted;

-- count: instances of a series
--   $1 = '1.7'
--   $2 = '1.7.1'
--   $3 = 1
SELECT (coalesce(sum(e.number_of_instances), 0))::bigint
  FROM studies s JOIN series e ON e.study_id = s.id
  WHERE s.institution_id = $3
  AND s.study_instance_uid = $1
  AND e.series_instance_uid = $2;

-- count: next
--   $1 = 20200301000030
--   $2 = '1.59'
--   $3 = 59
--   $4 = 1
--   $5 = 10001
SELECT (count(*))::bigint
  FROM (SELECT
  FROM studies s
  WHERE s.institution_id = $4
  AND s.sort_key <= $1::bigint
  AND (s.sort_key < $1::bigint OR s.sort_key = $1::bigint
  AND (s.study_instance_uid > $2::text OR s.study_instance_uid IS NULL) OR s.sort_key = $1::bigint
  AND s.study_instance_uid = $2::text
  AND (s.id > $3::bigint OR s.id IS NULL))
  LIMIT $5) AS counted;
