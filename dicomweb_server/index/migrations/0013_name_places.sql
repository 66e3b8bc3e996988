-- Outside a transaction: what waits at the end waits for those who began before.
-- Fewer quarters of years for keys of names: dates that nobody meant, of any year from 1 to 9999, made
-- forty thousand of them, and searches look at each. The next step brings the keys to their places.

-- The first moment of the quarter of a year, as a sort_key is one. All years before 1900 are one
-- quarter, as is what has no date, and all after 2100 another: dates that nobody meant would make
-- forty thousand, and each is looked at.
CREATE OR REPLACE FUNCTION quarter_of(p_sort_key bigint) RETURNS bigint
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN p_sort_key < 19000000000000 THEN 0
            WHEN p_sort_key >= 21010000000000 THEN 21010100000000
            ELSE p_sort_key / 10000000000 * 10000000000
                 + ((p_sort_key / 100000000 % 100 + 2) / 3 * 3 - 2) * 100000000 END;

-- What the keys of names begin with, of an institution and a quarter: so they lie together.
-- Quarters are counted, four of a year.
CREATE OR REPLACE FUNCTION name_place(p_institution integer, p_sort_key bigint) RETURNS bigint
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (p_institution % 32768)::bigint * 281474976710656 + 4294967296 *
       CASE WHEN p_sort_key < 19000000000000 THEN 0
            WHEN p_sort_key >= 21010000000000 THEN 8405
            ELSE p_sort_key / 10000000000 * 4 + (p_sort_key / 100000000 % 100 + 2) / 3 END;

CREATE OR REPLACE FUNCTION name_keys(
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

-- Those who store with the functions as they were come to an end, so that the next step sees it all.
SET LOCAL lock_timeout = '300ms';
LOCK TABLE studies IN SHARE MODE;
