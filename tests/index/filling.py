"""A database filled with a few thousand studies, and the plans of statements in it."""

import json

# 4000 studies of 2 series of 2 instances; every 400th is an ECG, every 4th has a Japanese name.
# Institutions 2 to 5 have 300 more each.
FILL = r"""
INSERT INTO institutions SELECT n, 'filled' || n FROM generate_series(2, 5) n;
INSERT INTO studies (institution_id, study_instance_uid, sort_key, study_date, study_time,
                     accession_number, study_id, patient_id, patient_name, patient_name_other,
                     referring_physician_name, modalities,
                     number_of_series, number_of_instances, bytes, document,
                     patient_name_tokens)
SELECT CASE WHEN n <= 4000 THEN 1 ELSE 2 + n % 4 END, '1.' || n,
       20200101000000 + n % 365 * 1000000 + n % 60, 20200101 + n % 365, '10',
       'A' || n, 'S' || n, 'P' || n / 3, upper(md5((n / 3)::text)) || '^JOHN',
       CASE WHEN n % 4 = 0 THEN '山田^' || n || '=やまだ^' || n END,
       upper(md5((n % 100)::text)),
       CASE WHEN n % 400 = 0 THEN '{ECG}'::text[] ELSE '{CT,SR}' END, 2, 4, 1000, '\x00',
       ARRAY['J', 'JOHN', left(upper(md5((n / 3)::text)), 5)]
  FROM generate_series(1, 5200) n;
INSERT INTO study_modalities (study_id, sort_key, institution_id, modality, study_instance_uid)
SELECT id, sort_key, institution_id, unnest(modalities), study_instance_uid FROM studies;
INSERT INTO series (institution_id, study_id, series_instance_uid, series_number, modality,
                    number_of_instances, document)
SELECT s.institution_id, s.id, s.study_instance_uid || '.' || n, n, s.modalities[n], 2, '\x00'
  FROM studies s, generate_series(1, 2) n;
INSERT INTO instances (institution_id, study_id, series_id, sop_instance_uid, instance_number,
                       sop_class_uid, transfer_syntax_uid, blob_key, size, sha256, document,
                       metadata, dataset_offset)
SELECT e.institution_id, e.study_id, e.id, e.series_instance_uid || '.' || n, n, '1.2', '1.2',
       'key', 1, '', '\x00', '', 0
  FROM series e, generate_series(1, 2) n;
INSERT INTO series_requests (series_id, institution_id, scheduled_procedure_step_id)
SELECT id, institution_id, 'R' || id FROM series;
ANALYZE studies; ANALYZE study_modalities; ANALYZE series; ANALYZE instances;
ANALYZE series_requests;
"""


def fill(studies):
    """So many studies, all of the first institution; not analysed."""
    text = FILL.replace("n <= 4000", "true").replace("(1, 5200)", f"(1, {studies})")
    return text[text.index("INSERT INTO studies") : text.index("ANALYZE")]


async def nodes(conn, statement, *arguments):
    """The nodes of the plan: (type, relation or index)."""

    def walk(node):
        yield node["Node Type"], node.get("Index Name", node.get("Relation Name"))
        for child in node.get("Plans", []):
            yield from walk(child)

    plan = await conn.fetchval(f"EXPLAIN (FORMAT JSON) {statement}", *arguments)
    return list(walk(json.loads(plan)[0]["Plan"]))
