-- Keys by which studies are found by a part of a patient's name, quarter of a year by quarter and
-- the newest first: with the GIN indexes of names alone a name that many have costs as much as all
-- who have it. Servers of the version before keep the index without knowing of it.

-- The first moment of the quarter of a year, as a sort_key is one.
CREATE FUNCTION quarter_of(p_sort_key bigint) RETURNS bigint
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN p_sort_key / 10000000000 * 10000000000
       + ((p_sort_key / 100000000 % 100 + 2) / 3 * 3 - 2) * 100000000;

-- What the keys of names begin with, of an institution and a quarter: so they lie together.
CREATE FUNCTION name_place(p_institution integer, p_sort_key bigint) RETURNS bigint
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (p_institution % 32768)::bigint * 281474976710656
       + (p_sort_key / 10000000000 * 4 + (p_sort_key / 100000000 % 100 + 2) / 3) % 65536 * 4294967296;

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
  v_place bigint :=
    (p_institution % 32768)::bigint * 281474976710656
    + (p_sort_key / 10000000000 * 4 + (p_sort_key / 100000000 % 100 + 2) / 3) % 65536 * 4294967296;
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

