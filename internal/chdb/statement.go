package chdb

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// helloQuery is clickhouse-go's first query on every connection. Its answer decides in which
// revision of the Native format the driver reads everything that follows.
const helloQuery = "SELECT displayName(), version(), revision(), timezone()"

// nativeFormat is the format of data both ways.
const nativeFormat = "Native"

// statement is a request as it came, in the engine's terms.
type statement struct {
	scope
	sql    string
	params []param
	// format and body are set for an INSERT whose data comes in the body.
	format string
	body   []byte
}

// transportOnly names the URL values of ClickHouse's HTTP interface that are not settings and say
// nothing to this engine. log_comment is one: the engine marks its sessions with it.
var transportOnly = []string{"query", "database", "default_format", "client_protocol_version", "query_id", "quota_key", "log_comment"}

// unsupportedValues names the URL values that change how bytes are to be read, with what to do.
var unsupportedValues = map[string]string{
	"compress":   "leave clickhouse.Options.Compression unset",
	"decompress": "leave clickhouse.Options.Compression unset",
	"session_id": "every request is on its own",
}

var (
	settingName  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`)
	insertFormat = regexp.MustCompile(`(?is)^(\s*INSERT\s.*?)\s+FORMAT\s+([A-Za-z0-9_]+)\s*;?\s*$`)
	nothing      = regexp.MustCompile(`^(?:[\s;]+|--[^\n]*(?:\n|$)|#[ !][^\n]*(?:\n|$)|/\*(?s:.*?)\*/)*$`)
	leading      = regexp.MustCompile(`^(?:\s+|--[^\n]*(?:\n|$)|#[ !][^\n]*(?:\n|$)|/\*(?s:.*?)\*/|\()*([A-Za-z]*)`)
)

// errSeveral is what a server says of several statements in one request.
var errSeveral = &exception{code: 62, message: "Code: 62. DB::Exception: Syntax error (Multi-statements are not allowed). (SYNTAX_ERROR)"}

// errEmpty is what a server says of a statement that is nothing, or only a comment;
// the library itself forgives it.
var errEmpty = &exception{code: 62, message: "Code: 62. DB::Exception: Empty query. (SYNTAX_ERROR)"}

// readStatement reads a request of ClickHouse's HTTP interface. Its errors are the client's.
func readStatement(r *http.Request) (statement, error) {
	var body []byte
	if r.Body != nil {
		defer r.Body.Close()
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return statement{}, fmt.Errorf("reading the request: %w", err)
		}
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" {
		return statement{}, fmt.Errorf("a request in content encoding %q is not supported: leave clickhouse.Options.Compression unset", encoding)
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
		return statement{}, errors.New("external tables are not supported by the embedded engine")
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return statement{}, fmt.Errorf("parsing the request's URL: %w", err)
	}
	return parseStatement(values, body)
}

func parseStatement(values url.Values, body []byte) (statement, error) {
	st := statement{scope: scope{database: values.Get("database")}}
	var settings []string
	for name, all := range values {
		value := all[len(all)-1]
		if advice, ok := unsupportedValues[name]; ok && value != "0" {
			return statement{}, fmt.Errorf("%s=%s is not supported by the embedded engine: %s", name, value, advice)
		}
		switch name, isParam := strings.CutPrefix(name, "param_"); {
		case isParam:
			st.params = append(st.params, param{name, value})
		case slices.Contains(transportOnly, name), unsupportedValues[name] != "":
		case !settingName.MatchString(name):
			return statement{}, fmt.Errorf("%q cannot be the name of a setting", name)
		default:
			settings = append(settings, name+" = '"+stringEscapes.Replace(value)+"'")
		}
	}
	if len(settings) > 0 {
		slices.Sort(settings)
		st.settings = "SET " + strings.Join(settings, ", ")
	}
	st.sql = values.Get("query")
	if match := insertFormat.FindStringSubmatch(st.sql); match != nil {
		st.sql, st.format, st.body = match[1], match[2], body
		return st, nil
	}
	if st.sql != "" && len(body) > 0 {
		st.sql += "\n"
	}
	st.sql += string(body)
	if nothing.MatchString(st.sql) {
		return statement{}, errEmpty
	}
	return st, nil
}

// streamable reports whether a statement that only reads is a SELECT: the engine delivers the
// result of SHOW, DESCRIBE and their like only as a whole.
func streamable(sql string) bool {
	switch strings.ToUpper(leading.FindStringSubmatch(sql)[1]) {
	case "SELECT", "WITH", "FROM":
		return true
	}
	return false
}
