-- What was there before the totals were kept. Since 0004 every transaction changes the studies
-- and the totals alike: how much the totals lack is the same at any moment, so it is counted at
-- one, added at another, and nobody waits.

INSERT INTO institution_totals AS kept (institution_id, studies, series, instances)
SELECT i.id, coalesce(c.studies, 0) - coalesce(t.studies, 0),
       coalesce(c.series, 0) - coalesce(t.series, 0),
       coalesce(c.instances, 0) - coalesce(t.instances, 0)
  FROM institutions i
  LEFT JOIN (SELECT institution_id, count(*) AS studies, sum(number_of_series) AS series,
                    sum(number_of_instances) AS instances
               FROM studies GROUP BY institution_id) c ON c.institution_id = i.id
  LEFT JOIN institution_totals t ON t.institution_id = i.id
 WHERE c.institution_id IS NOT NULL OR t.institution_id IS NOT NULL
ON CONFLICT (institution_id) DO UPDATE
   SET studies = kept.studies + EXCLUDED.studies, series = kept.series + EXCLUDED.series,
       instances = kept.instances + EXCLUDED.instances;
