"""The tables of the small model: nulls, 38 digits, odd texts, and moments at which clocks change."""

from __future__ import annotations

from typing import Final

TABLES: Final = """
CREATE TABLE gold.dim_account (account VARCHAR, region VARCHAR, opened DATE);
INSERT INTO gold.dim_account VALUES
  ('cash', 'north', DATE '2020-02-29'), ('bank "one"', 'south', DATE '1999-12-31'),
  ('', NULL, NULL), ('Käse, Łódź; \\', 'north', DATE '2024-06-30'), ('unused', 'west', NULL);
CREATE TABLE gold.fct_entry (
  entry_id BIGINT, account VARCHAR, booked_at TIMESTAMP, value_day DATE, amount DECIMAL(38, 9),
  price DECIMAL(12, 2), ratio DOUBLE, level INTEGER, flag BOOLEAN, note VARCHAR);
INSERT INTO gold.fct_entry
SELECT i,
  CASE i % 6 WHEN 0 THEN 'cash' WHEN 1 THEN 'bank "one"' WHEN 2 THEN '' WHEN 3 THEN NULL
    WHEN 4 THEN 'Käse, Łódź; \\' ELSE 'nowhere' END,
  -- Half-hourly through the nights in which clocks change (Berlin, New York, Lord Howe, Sao Paulo),
  -- then one each five days; now and then with microseconds, now and then unknown.
  CASE WHEN i % 17 = 16 THEN NULL
    WHEN i < 12 THEN TIMESTAMP '2024-03-30 22:30:00' + to_minutes(30 * i)
    WHEN i < 24 THEN TIMESTAMP '2024-10-26 22:30:00' + to_minutes(30 * (i - 12))
    WHEN i < 36 THEN TIMESTAMP '2024-11-03 03:30:00' + to_minutes(30 * (i - 24))
    WHEN i < 44 THEN TIMESTAMP '2024-04-06 13:15:00' + to_minutes(30 * (i - 36))
    WHEN i < 52 THEN TIMESTAMP '2018-11-04 01:30:00' + to_minutes(30 * (i - 44))
    ELSE TIMESTAMP '2024-01-01 00:00:00' + to_days(5 * CAST(i - 52 AS INTEGER)) END
    + to_microseconds(CASE WHEN i % 7 = 3 THEN 123456 WHEN i % 7 = 5 THEN 999999 ELSE 0 END),
  CASE WHEN i % 11 = 10 THEN NULL ELSE DATE '2023-12-25' + CAST(i % 40 AS INTEGER) END,
  CASE WHEN i % 9 = 8 THEN NULL
    ELSE CAST((CASE WHEN i % 2 = 0 THEN '12' ELSE '-7' END) || '345678901234567890123456.123456' ||
      lpad(CAST(i AS VARCHAR), 3, '0') AS DECIMAL(38, 9)) END,
  CASE WHEN i % 8 = 7 THEN NULL ELSE CAST((i * 37) % 201 AS DECIMAL(12, 2)) / 2 - 10 END,
  CASE WHEN i % 10 = 9 THEN NULL ELSE (i - 40) / 3.0 END,
  CASE WHEN i % 5 = 4 THEN NULL ELSE i % 5 END,
  CASE WHEN i % 3 = 2 THEN NULL ELSE i % 3 = 0 END,
  CASE i % 8 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN 'It''s "50%"' WHEN 3 THEN 'a_b\\c'
    WHEN 4 THEN 'two' || chr(10) || 'lines' || chr(9) || '.' WHEN 5 THEN 'ÄÖ 漢字 😀'
    WHEN 6 THEN 'null' ELSE 'Plain' END
FROM range(120) t(i);
"""
