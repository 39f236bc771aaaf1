package console

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/snapshot"
)

func viewNames() (names []string) {
	for _, v := range snapshot.Views() {
		names = append(names, v.Name)
	}
	return names
}

func TestParse(t *testing.T) {
	for _, test := range []struct {
		sql, text string
		views     []string
	}{
		{"SELECT count() FROM outputs", "SELECT count() FROM outputs", []string{"outputs"}},
		{"select * from verdicts where verdict = 'diverged' limit 10;", "select * from verdicts where verdict = 'diverged' limit 10", []string{"verdicts"}},
		{"-- all of them\nSELECT/* now */count()FROM\"outputs\" -- end", "SELECT count()FROM `outputs`", []string{"outputs"}},
		{
			"WITH d AS (SELECT output FROM verdicts) SELECT o.output, count(DISTINCT digest) n FROM observations AS o INNER JOIN d ON o.output = d.output GROUP BY o.output HAVING n > 1 ORDER BY n DESC",
			"",
			[]string{"observations", "verdicts"},
		},
		{"SELECT 1 UNION ALL SELECT count() FROM builders UNION ALL (SELECT 2)", "", []string{"builders"}},
		{"SELECT quantileIf(0.5)(dateDiff('hour', first_at, now()), ecosystem = 'nix') FROM outputs", "", []string{"outputs"}},
		{"SELECT output, row_number() OVER (PARTITION BY ecosystem ORDER BY first_at ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS n FROM outputs", "", []string{"outputs"}},
		{"SELECT arrayMap(x -> x + 1, [1, 2])[1], (1, 'a').1, CAST(1 AS UInt8), 2::Nullable(String), CASE WHEN 1 THEN 2 ELSE 3 END, toDate('2026-01-01') + INTERVAL 1 DAY", "", nil},
		{"SELECT m FROM members ARRAY JOIN maintainers AS m", "", []string{"members"}},
		{"SELECT output FROM outputs WHERE ecosystem IN ('nix', 'guix') AND output NOT IN (SELECT output FROM verdicts) AND build LIKE '%\\_x'", "", []string{"outputs", "verdicts"}},
		{"SELECT toStartOfMonth(received_at) AS month, countIf(occasion = 'rebuild') / count() FROM observations GROUP BY month ORDER BY month WITH FILL STEP INTERVAL 1 MONTH", "", []string{"observations"}},
		{"SELECT `set_name`, any(revision) FROM sets GROUP BY ALL", "", []string{"sets"}},
		{`SELECT 'it''s', 'a\'b', '\d+', 'tab	'`, `SELECT 'it\'s', 'a\'b', '\\d+', 'tab\t'`, nil},
		{"SELECT e.system, e.go FROM environments e", "", []string{"environments"}},
		{"SELECT 'SETTINGS; FORMAT -- /* system.tables'", "SELECT 'SETTINGS; FORMAT -- /* system.tables'", nil},
		{"SELECT * EXCEPT (build) FROM outputs", "", []string{"outputs"}},
	} {
		q, err := Parse(test.sql, viewNames())
		if err != nil {
			t.Errorf("%s: %v", test.sql, err)
			continue
		}
		if test.text != "" && q.Text() != test.text {
			t.Errorf("%s: the engine is given %s", test.sql, q.Text())
		}
		if diff := cmp.Diff(test.views, q.Views()); diff != "" {
			t.Errorf("%s: views (-want +got):\n%s", test.sql, diff)
		}
	}
}

// TestParseRefuses: what is refused is named, with its place.
func TestParseRefuses(t *testing.T) {
	for _, test := range []struct {
		sql          string
		line, column int
		reason       string
	}{
		{"", 1, 1, "no query"},
		{"  -- only a comment", 1, 1, "no query"},
		{"SELECT 1; DROP TABLE outputs", 1, 9, "one statement"},
		{"SELECT count()\nFROM system.tables", 2, 6, "no databases"},
		{"SELECT *\nFROM outputs,\n  url('http://x')", 3, 3, "url is none of the functions"},
		{"SELECT /* x */ sleep(3)", 1, 16, "sleep is none"},
		{"SELECT 1 FROM nothing", 1, 15, `no view "nothing"`},
		{"SELECT 'abc", 1, 8, "has no end"},
		{"SELECT x FROM outputs SETTINGS max_threads = 1", 1, 23, "settings cannot be changed"},
		{"SELECT äöü", 1, 8, "sign 'ä'"},
	} {
		_, err := Parse(test.sql, viewNames())
		refused, ok := errors.AsType[*SyntaxError](err)
		if !ok {
			t.Errorf("%q is not refused: %v", test.sql, err)
			continue
		}
		if refused.Line != test.line || refused.Column != test.column || !strings.Contains(refused.Reason, test.reason) {
			t.Errorf("%q: %v", test.sql, refused)
		}
	}
}

// TestParseRefusesAttacks: none of the attacks comes through the parser.
func TestParseRefusesAttacks(t *testing.T) {
	for _, a := range attacks {
		if _, err := Parse(a.sql, viewNames()); !a.harmless && err == nil {
			t.Errorf("%s comes through: %s", a.name, a.sql)
		} else if a.harmless && err != nil {
			t.Errorf("%s: %v", a.name, err)
		}
	}
}

// TestParseIsQuick: no query of the allowed length keeps the parser busy.
func TestParseIsQuick(t *testing.T) {
	most := func(unit string) string { return strings.Repeat(unit, (maxText-100)/len(unit)) }
	for name, sql := range map[string]string{
		"brackets":  "SELECT " + strings.Repeat("(", maxNested) + "1" + strings.Repeat(")", maxNested),
		"intervals": "SELECT " + most("interval + ") + "1",
		"globals":   "SELECT " + most("a GLOBAL ") + "1",
		"cases":     "SELECT " + most("CASE WHEN ") + "1",
		"nots":      "SELECT " + most("NOT ") + "1",
		"arrows":    "SELECT " + most("x -> ") + "1",
		"ternaries": "SELECT " + most("1 ? ") + "1",
		"unions":    most("SELECT 1 UNION ALL ") + "SELECT 1",
		"selects":   most("SELECT "),
		"ins":       "SELECT 1 " + most("IN ((((1)))) "),
		"joins":     "SELECT 1 FROM outputs " + most("JOIN outputs "),
		"signs":     "SELECT " + most("- ") + "1",
		"comments":  "SELECT 1 " + most("/**/"),
	} {
		begin := time.Now()
		_, err := Parse(sql, viewNames())
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("%s keep the parser busy for %s (%v)", name, took, err)
		}
	}
}

// FuzzParse: whatever comes, the parser ends, and what it lets through it lets through again,
// unchanged: the engine is given what was checked.
func FuzzParse(f *testing.F) {
	for _, a := range attacks {
		f.Add(a.sql)
	}
	f.Add("WITH d AS (SELECT 1) SELECT * FROM outputs AS o JOIN d ON 1 = 1 WHERE a IN ('b') -- c")
	views := viewNames()
	f.Fuzz(func(t *testing.T, sql string) {
		q, err := Parse(sql, views)
		if err != nil {
			if _, ok := errors.AsType[*SyntaxError](err); !ok {
				t.Fatalf("%q: %v", sql, err)
			}
			return
		}
		again, err := Parse(q.Text(), views)
		if err != nil || again.Text() != q.Text() {
			t.Fatalf("%q became %q, which becomes %q: %v", sql, q.Text(), again.Text(), err)
		}
	})
}
