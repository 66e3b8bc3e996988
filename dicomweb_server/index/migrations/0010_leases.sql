-- Which studies are being gone through: who deletes or replaces instances of them has to wait until
-- what processes know of them has run out. Not unlogged: after a crash of the database the processes
-- still know it.

CREATE TABLE leases (
  institution_id     integer     NOT NULL,
  study_instance_uid text        COLLATE "C" NOT NULL,
  until              timestamptz NOT NULL,
  PRIMARY KEY (study_instance_uid, institution_id)
);
