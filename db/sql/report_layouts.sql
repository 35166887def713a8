-- The layouts of a study's report rows, by skipping from one to the next in the index.
WITH RECURSIVE found AS (
    (SELECT layout_id FROM report_rows WHERE study_id = :study_id ORDER BY layout_id LIMIT 1)
    UNION ALL
    SELECT (
        SELECT report_rows.layout_id
        FROM report_rows
        WHERE report_rows.study_id = :study_id AND report_rows.layout_id > found.layout_id
        ORDER BY report_rows.layout_id
        LIMIT 1
    )
    FROM found
    WHERE found.layout_id IS NOT NULL
)
SELECT layouts.id, layouts.series
FROM found
JOIN layouts ON layouts.id = found.layout_id
ORDER BY layouts.id
