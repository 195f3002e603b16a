//! The Chinook sample database loads without an edit to its script, and queries over it give what SQLite gives.

mod judge;

use dosql::{Database, Options, Storage};
use judge::{Oracle, shared};

/// What is asked of both.
const QUERIES: &[&str] = &[
    "SELECT count(*) FROM Track",
    "SELECT * FROM Artist ORDER BY Name LIMIT 10",
    "SELECT * FROM Album WHERE ArtistId = 90 ORDER BY AlbumId",
    "SELECT ar.Name, COUNT(*) AS tracks FROM Track t JOIN Album al ON al.AlbumId = t.AlbumId JOIN Artist ar ON ar.ArtistId = al.ArtistId GROUP BY ar.Name ORDER BY tracks DESC, ar.Name LIMIT 5",
    "SELECT g.Name, COUNT(*), SUM(t.Milliseconds), AVG(t.UnitPrice) FROM Track t JOIN Genre g USING (GenreId) GROUP BY g.GenreId ORDER BY 2 DESC, 1",
    "SELECT BillingCountry, COUNT(*), ROUND(SUM(Total), 2) FROM Invoice GROUP BY BillingCountry HAVING COUNT(*) > 7 ORDER BY 3 DESC, 1",
    "SELECT c.FirstName || ' ' || c.LastName AS name, SUM(i.Total) AS spent FROM Customer c JOIN Invoice i ON i.CustomerId = c.CustomerId GROUP BY c.CustomerId ORDER BY spent DESC, name LIMIT 10",
    "SELECT e.LastName, m.LastName FROM Employee e LEFT JOIN Employee m ON m.EmployeeId = e.ReportsTo ORDER BY e.EmployeeId",
    "SELECT Name FROM Track WHERE Name LIKE '%love%' ORDER BY Name COLLATE NOCASE, TrackId LIMIT 20",
    "SELECT Name FROM Track WHERE Name GLOB 'The*' ORDER BY TrackId LIMIT 20",
    "SELECT t.Name FROM Track t WHERE t.Milliseconds > (SELECT AVG(Milliseconds) * 10 FROM Track) ORDER BY t.TrackId",
    "SELECT ar.Name FROM Artist ar WHERE NOT EXISTS (SELECT 1 FROM Album al WHERE al.ArtistId = ar.ArtistId) ORDER BY ar.Name LIMIT 15",
    "SELECT Name FROM Artist WHERE ArtistId IN (SELECT ArtistId FROM Album GROUP BY ArtistId HAVING COUNT(*) > 5) ORDER BY Name",
    "SELECT strftime('%Y', InvoiceDate) AS year, COUNT(*), ROUND(SUM(Total), 2) FROM Invoice GROUP BY year ORDER BY year",
    "SELECT DISTINCT Composer FROM Track WHERE Composer IS NOT NULL ORDER BY Composer LIMIT 25 OFFSET 50",
    "SELECT COUNT(*), COUNT(Composer), COUNT(DISTINCT Composer) FROM Track",
    "SELECT MediaTypeId, MIN(Bytes), MAX(Bytes), TOTAL(Bytes) FROM Track GROUP BY MediaTypeId ORDER BY MediaTypeId",
    "SELECT p.Name, COUNT(pt.TrackId) FROM Playlist p LEFT JOIN PlaylistTrack pt ON pt.PlaylistId = p.PlaylistId GROUP BY p.PlaylistId ORDER BY p.PlaylistId",
    "SELECT Country FROM Customer UNION SELECT BillingCountry FROM Invoice ORDER BY 1",
    "SELECT City FROM Customer INTERSECT SELECT City FROM Employee ORDER BY 1",
    "SELECT City FROM Employee EXCEPT SELECT City FROM Customer ORDER BY 1",
    "SELECT FirstName, 'customer' AS kind FROM Customer UNION ALL SELECT FirstName, 'employee' FROM Employee ORDER BY 1, 2 LIMIT 12",
    "WITH RECURSIVE chain(id, name, depth) AS (SELECT EmployeeId, LastName, 0 FROM Employee WHERE ReportsTo IS NULL UNION ALL SELECT e.EmployeeId, e.LastName, depth + 1 FROM Employee e JOIN chain ON e.ReportsTo = chain.id) SELECT depth, name FROM chain ORDER BY depth, name",
    "WITH spent AS (SELECT CustomerId, SUM(Total) AS total FROM Invoice GROUP BY CustomerId) SELECT COUNT(*) FROM spent WHERE total > (SELECT AVG(total) FROM spent)",
    "SELECT CASE WHEN Milliseconds < 180000 THEN 'short' WHEN Milliseconds < 300000 THEN 'usual' ELSE 'long' END AS length, COUNT(*) FROM Track GROUP BY 1 ORDER BY 1",
    "SELECT il.InvoiceId, SUM(il.UnitPrice * il.Quantity) AS lines, i.Total FROM InvoiceLine il JOIN Invoice i ON i.InvoiceId = il.InvoiceId GROUP BY il.InvoiceId HAVING ABS(lines - i.Total) > 0.001",
    "SELECT Name, Milliseconds / 60000 AS minutes, Milliseconds % 60000 FROM Track ORDER BY Milliseconds DESC LIMIT 5",
    "SELECT UPPER(SUBSTR(Name, 1, 3)), LENGTH(Name) FROM Genre ORDER BY LENGTH(Name), Name",
    "SELECT COALESCE(State, '(none)') AS state, COUNT(*) FROM Customer GROUP BY state ORDER BY 2 DESC, 1 LIMIT 10",
    "SELECT Name FROM Track ORDER BY RANDOM() * 0, TrackId DESC LIMIT 3",
    "SELECT group_concat(Name, ', ') FROM (SELECT Name FROM MediaType ORDER BY MediaTypeId)",
    "SELECT CAST(SUM(Total) AS INTEGER), typeof(SUM(Total)), typeof(COUNT(*)) FROM Invoice",
    "SELECT a.Title, t.Name FROM Album a JOIN Track t ON t.AlbumId = a.AlbumId WHERE a.Title BETWEEN 'B' AND 'C' ORDER BY a.Title, t.TrackId LIMIT 30",
    "SELECT InvoiceDate, date(InvoiceDate, '+1 month', 'start of month') FROM Invoice ORDER BY InvoiceId LIMIT 5",
    "SELECT julianday(MAX(InvoiceDate)) - julianday(MIN(InvoiceDate)) FROM Invoice",
    "SELECT t.TrackId FROM Track t JOIN InvoiceLine il ON il.TrackId = t.TrackId JOIN Invoice i ON i.InvoiceId = il.InvoiceId WHERE i.BillingCountry = 'Norway' ORDER BY t.TrackId",
    "SELECT COUNT(*) FROM Track a, Track b WHERE a.AlbumId = b.AlbumId AND a.TrackId < b.TrackId AND a.Milliseconds = b.Milliseconds",
    "SELECT c.SupportRepId, COUNT(DISTINCT c.Country), COUNT(*) FILTER (WHERE c.Company IS NOT NULL) FROM Customer c GROUP BY c.SupportRepId ORDER BY 1",
    "SELECT Title FROM Album WHERE (ArtistId, AlbumId) IN (SELECT ArtistId, MAX(AlbumId) FROM Album GROUP BY ArtistId) ORDER BY Title LIMIT 12",
    "SELECT Name, (SELECT COUNT(*) FROM Album al WHERE al.ArtistId = ar.ArtistId) AS albums FROM Artist ar ORDER BY albums DESC, Name LIMIT 8",
    "SELECT Phone, REPLACE(REPLACE(Phone, ' ', ''), '-', ''), INSTR(Phone, ')') FROM Customer ORDER BY CustomerId LIMIT 10",
    "SELECT Name, Bytes FROM Track WHERE AlbumId = 1 OR GenreId = 25 ORDER BY TrackId",
    "SELECT e.FirstName, c.FirstName FROM Employee e FULL JOIN Customer c ON c.SupportRepId = e.EmployeeId AND c.Country = 'Brazil' ORDER BY 1, 2 LIMIT 20",
    "SELECT BillingCity, Total, RANK() OVER (ORDER BY Total DESC), SUM(Total) OVER (PARTITION BY BillingCity ORDER BY InvoiceId) FROM Invoice ORDER BY InvoiceId LIMIT 25",
    "SELECT hex(Name), quote(Name), unicode(Name) FROM Artist WHERE Name <> '' ORDER BY ArtistId DESC LIMIT 5",
    "SELECT printf('%05d|%-10s|%8.2f', InvoiceId, BillingCity, Total) FROM Invoice ORDER BY InvoiceId LIMIT 5",
];

#[test]
fn chinook_loads_unedited_and_answers_as_sqlite_does() {
    let Some(path) = shared("data/chinook/chinook.sql") else { return };
    let script = std::fs::read_to_string(path).unwrap();
    let script = script.trim_start_matches('\u{feff}');
    let oracle = Oracle::new();
    oracle.run(script).unwrap();
    let database = Database::open(Storage::memory(), Options::default()).unwrap();
    let connection = database.connect().unwrap();
    connection.execute_batch(script).unwrap();
    assert!(QUERIES.len() >= 40);
    for sql in QUERIES {
        judge::assert_same(&connection, &oracle, sql);
    }
}
