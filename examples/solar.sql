-- Planets, some of their moons, and spacecraft that went there.
-- Facts gathered for this project; free to use for anything (CC0 1.0).

DROP VIEW IF EXISTS biggest_moon;
DROP TABLE IF EXISTS mission;
DROP TABLE IF EXISTS moon;
DROP TABLE IF EXISTS planet;

CREATE TABLE planet (
  id          INTEGER PRIMARY KEY,
  name        TEXT NOT NULL UNIQUE,
  radius_km   REAL NOT NULL CHECK (radius_km > 0),
  orbit_days  REAL NOT NULL,
  ringed      INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE moon (
  id          INTEGER PRIMARY KEY,
  planet_id   INTEGER NOT NULL REFERENCES planet(id),
  name        TEXT NOT NULL,
  radius_km   REAL,
  discovered  INTEGER,
  UNIQUE (planet_id, name)
);

CREATE TABLE mission (
  id          INTEGER PRIMARY KEY,
  name        TEXT NOT NULL,
  launched    TEXT NOT NULL,
  planet_id   INTEGER NOT NULL REFERENCES planet(id),
  kind        TEXT NOT NULL CHECK (kind IN ('flyby', 'orbiter', 'lander', 'rover'))
);

CREATE INDEX mission_by_planet ON mission(planet_id, launched);

CREATE VIEW biggest_moon AS
  SELECT p.name AS planet, m.name AS moon, max(m.radius_km) AS radius_km
  FROM planet p JOIN moon m ON m.planet_id = p.id
  GROUP BY p.id;

BEGIN;

INSERT INTO planet (id, name, radius_km, orbit_days, ringed) VALUES
  (1, 'Mercury', 2439.7,    87.969, 0),
  (2, 'Venus',   6051.8,   224.701, 0),
  (3, 'Earth',   6371.0,   365.256, 0),
  (4, 'Mars',    3389.5,   686.980, 0),
  (5, 'Jupiter', 69911.0,  4332.59, 1),
  (6, 'Saturn',  58232.0, 10759.22, 1),
  (7, 'Uranus',  25362.0, 30688.50, 1),
  (8, 'Neptune', 24622.0, 60182.00, 1);

INSERT INTO moon (planet_id, name, radius_km, discovered) VALUES
  (3, 'Moon',      1737.4, NULL),
  (4, 'Phobos',      11.1, 1877),
  (4, 'Deimos',       6.2, 1877),
  (5, 'Io',        1821.6, 1610),
  (5, 'Europa',    1560.8, 1610),
  (5, 'Ganymede',  2634.1, 1610),
  (5, 'Callisto',  2410.3, 1610),
  (5, 'Amalthea',    83.5, 1892),
  (5, 'Himalia',     85.0, 1904),
  (6, 'Mimas',      198.2, 1789),
  (6, 'Enceladus',  252.1, 1789),
  (6, 'Tethys',     531.1, 1684),
  (6, 'Dione',      561.4, 1684),
  (6, 'Rhea',       763.8, 1672),
  (6, 'Titan',     2574.7, 1655),
  (6, 'Hyperion',   135.0, 1848),
  (6, 'Iapetus',    734.5, 1671),
  (6, 'Phoebe',     106.5, 1899),
  (7, 'Miranda',    235.8, 1948),
  (7, 'Ariel',      578.9, 1851),
  (7, 'Umbriel',    584.7, 1851),
  (7, 'Titania',    788.4, 1787),
  (7, 'Oberon',     761.4, 1787),
  (8, 'Triton',    1353.4, 1846),
  (8, 'Nereid',     170.0, 1949),
  (8, 'Proteus',    210.0, 1989);

INSERT INTO mission (name, launched, planet_id, kind) VALUES
  ('Mariner 2',         '1962-08-27', 2, 'flyby'),
  ('Mariner 4',         '1964-11-28', 4, 'flyby'),
  ('Venera 7',          '1970-08-17', 2, 'lander'),
  ('Mariner 9',         '1971-05-30', 4, 'orbiter'),
  ('Pioneer 10',        '1972-03-02', 5, 'flyby'),
  ('Mariner 10',        '1973-11-03', 1, 'flyby'),
  ('Viking 1',          '1975-08-20', 4, 'lander'),
  ('Voyager 2',         '1977-08-20', 8, 'flyby'),
  ('Voyager 1',         '1977-09-05', 6, 'flyby'),
  ('Magellan',          '1989-05-04', 2, 'orbiter'),
  ('Galileo',           '1989-10-18', 5, 'orbiter'),
  ('Mars Pathfinder',   '1996-12-04', 4, 'rover'),
  ('Cassini',           '1997-10-15', 6, 'orbiter'),
  ('Opportunity',       '2003-07-07', 4, 'rover'),
  ('MESSENGER',         '2004-08-03', 1, 'orbiter'),
  ('Juno',              '2011-08-05', 5, 'orbiter'),
  ('Curiosity',         '2011-11-26', 4, 'rover'),
  ('BepiColombo',       '2018-10-20', 1, 'orbiter'),
  ('Perseverance',      '2020-07-30', 4, 'rover');

COMMIT;

-- Which planets have been visited most, and which of their moons is the biggest?
SELECT p.name AS planet, count(*) AS missions, min(m.launched) AS first, b.moon AS biggest_moon
FROM mission m
JOIN planet p ON p.id = m.planet_id
LEFT JOIN biggest_moon b ON b.planet = p.name
GROUP BY p.id
ORDER BY missions DESC, p.id
LIMIT 5;
