-- Outside a transaction: paragraph by paragraph, so that no table is locked for more than a
-- moment, nor two at a time.
--
-- The upgrade to packed documents begins here and ends with 0008. In between, servers of the
-- version before go on reading `attributes`. Of what the new version stores meanwhile they see
-- nothing but what columns say.
--
-- How a table is altered while others read and write it: the first lock waits for a vacuum, or
-- ends it, and lets everybody pass; the second, that nobody passes, is waited for no longer than
-- readers may be kept waiting behind it, and asked for again.

LOCK TABLE studies IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '300ms';
ALTER TABLE studies ADD COLUMN IF NOT EXISTS document bytea,
                    ADD COLUMN IF NOT EXISTS patient_name_tokens text[] COLLATE "C",
                    ADD COLUMN IF NOT EXISTS referring_physician_name_tokens text[] COLLATE "C",
                    ALTER COLUMN attributes SET DEFAULT '{}';

LOCK TABLE series IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '300ms';
ALTER TABLE series ADD COLUMN IF NOT EXISTS document bytea,
                   ADD COLUMN IF NOT EXISTS sop_classes text[] COLLATE "C" NOT NULL DEFAULT '{}',
                   ALTER COLUMN attributes SET DEFAULT '{}';

LOCK TABLE instances IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '300ms';
ALTER TABLE instances ADD COLUMN IF NOT EXISTS document bytea,
                      ALTER COLUMN attributes SET DEFAULT '{}';

LOCK TABLE change_counter IN SHARE UPDATE EXCLUSIVE MODE;
SET LOCAL lock_timeout = '300ms';
ALTER TABLE change_counter ADD COLUMN IF NOT EXISTS attributes integer NOT NULL DEFAULT 0;
