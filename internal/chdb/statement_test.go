package chdb

import (
	"cmp"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

func TestReadStatement(t *testing.T) {
	for _, test := range []struct {
		name, url, body string
		want            statement
	}{
		{"statement in the body", "/?database=d&default_format=Native&client_protocol_version=54460", "SELECT 1", statement{scope: scope{database: "d"}, sql: "SELECT 1"}},
		{"statement in the URL", "/?query=SELECT+1", "", statement{sql: "SELECT 1"}},
		{"statement in both", "/?query=INSERT+INTO+t+VALUES", "(1)", statement{sql: "INSERT INTO t VALUES\n(1)"}},
		{"batch", "/?query=INSERT+INTO+t+(a,b)+FORMAT+Native", "\x02\x01", statement{sql: "INSERT INTO t (a,b)", format: "Native", body: []byte("\x02\x01")}},
		{"batch over lines", "/?query=" + url.QueryEscape("insert into\n`a FORMAT b` (x)\n settings y=1 format CSV ;\n"), "1\n", statement{sql: "insert into\n`a FORMAT b` (x)\n settings y=1", format: "CSV", body: []byte("1\n")}},
		{"settings", "/?max_threads=2&a.b=it%27s+%5C&log_comment=x&query_id=y", "SELECT 1", statement{scope: scope{settings: `SET a.b = 'it\'s \\', max_threads = '2'`}, sql: "SELECT 1"}},
		{"parameters", "/?param_x=1&param_y=%27", "SELECT 1", statement{sql: "SELECT 1", params: []param{{"x", "1"}, {"y", "'"}}}},
		{"comments around a statement", "/", "-- c;\nSELECT 1 /* c */ -- c", statement{sql: "-- c;\nSELECT 1 /* c */ -- c"}},
		{"compression off", "/?compress=0", "SELECT 1", statement{sql: "SELECT 1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := readStatement(httptest.NewRequestWithContext(t.Context(), http.MethodPost, test.url, strings.NewReader(test.body)))
			if err != nil {
				t.Fatal(err)
			}
			slices.SortFunc(got.params, func(a, b param) int { return cmp.Compare(a.name, b.name) })
			if diff := gocmp.Diff(test.want, got, gocmp.AllowUnexported(statement{}, scope{}, param{})); diff != "" {
				t.Errorf("statement (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadStatementRefuses(t *testing.T) {
	for _, test := range []struct{ name, url, header, want string }{
		{"compressed rows", "/?compress=1&query=SELECT+1", "", "Compression"},
		{"session", "/?session_id=x&query=SELECT+1", "", "on its own"},
		{"setting that is SQL", "/?" + url.QueryEscape("x=1,y") + "=2&query=SELECT+1", "", "name of a setting"},
		{"no statement", "/", "", "Empty query"},
		{"broken URL", "/?query=%zz", "", "URL"},
		{"compressed body", "/?query=SELECT+1", "Content-Encoding: gzip", "Compression"},
		{"external tables", "/", "Content-Type: multipart/form-data; boundary=x", "external tables"},
	} {
		t.Run(test.name, func(t *testing.T) {
			request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, test.url, nil)
			if name, value, ok := strings.Cut(test.header, ": "); ok {
				request.Header.Set(name, value)
			}
			if _, err := readStatement(request); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one that says %q", err, test.want)
			}
		})
	}
}

// closeTeller tells whether it was closed, as a RoundTripper has to do with every request's body.
type closeTeller struct {
	io.Reader
	closed bool
}

func (c *closeTeller) Close() error {
	c.closed = true
	return nil
}

func TestReadStatementClosesBody(t *testing.T) {
	body := &closeTeller{Reader: strings.NewReader("SELECT 1")}
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/?session_id=refused", body)
	if _, err := readStatement(request); err == nil || !body.closed {
		t.Errorf("error %v, body closed: %v", err, body.closed)
	}
}

func TestStreamable(t *testing.T) {
	for sql, want := range map[string]bool{
		"SELECT 1": true, "  select 1": true, "WITH x AS (SELECT 1) SELECT * FROM x": true, "((SELECT 1))": true, "FROM t SELECT 1": true,
		"-- SHOW\nSELECT 1": true, "/* SHOW\n */ SELECT 1": true, "# SHOW\nSELECT 1": true,
		"SHOW TABLES": false, "DESCRIBE TABLE t": false, "EXPLAIN SELECT 1": false, "EXISTS t": false, "": false, "/* SELECT": false, "-- SELECT": false, "SELECTED": false,
	} {
		if got := streamable(sql); got != want {
			t.Errorf("streamable(%q) = %v", sql, got)
		}
	}
}

func FuzzParseStatement(f *testing.F) {
	f.Add("query=INSERT+INTO+t+FORMAT+Native&max_threads=1", []byte("\x01"))
	f.Add("a.b=it%27s+%5C&param_x=1&database=d", []byte("SELECT 1"))
	f.Add("compress=1", []byte("-- x\nSELECT 1"))
	f.Fuzz(func(t *testing.T, query string, body []byte) {
		values, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		st, err := parseStatement(values, body)
		if err != nil {
			return
		}
		streamable(st.sql)
		// Whatever the values are, the settings are one SET statement of as many quoted strings.
		literals, rest := 0, st.settings
		for {
			_, after, found := strings.Cut(rest, " = '")
			if !found {
				break
			}
			end := 0
			for end < len(after) && after[end] != '\'' {
				if after[end] == '\\' {
					end++
				}
				end++
			}
			if end >= len(after) {
				t.Fatalf("%q: a string does not end", st.settings)
			}
			literals, rest = literals+1, after[end+1:]
			if rest != "" && !strings.HasPrefix(rest, ", ") {
				t.Fatalf("%q: a string ends before its value does", st.settings)
			}
		}
		if literals > len(values) {
			t.Fatalf("%q has %d settings of %d values", st.settings, literals, len(values))
		}
	})
}
