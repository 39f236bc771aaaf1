package redirects

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestStayOnHost: the rule for each pair of addresses, the first of which was asked.
func TestStayOnHost(t *testing.T) {
	for _, c := range []struct{ from, to, want string }{
		{"http://a.example/x", "http://a.example/y", ""},
		{"https://a.example/x", "https://a.example/y", ""},
		{"https://a.example:8443/x", "https://a.example:8443/y", ""},
		{"http://a.example/x", "https://a.example/x", ""},
		{"https://a.example/x", "http://a.example/x", "another host"},
		{"http://a.example/x", "https://a.example:8443/x", "another host"},
		{"http://a.example:8080/x", "https://a.example/x", "another host"},
		{"http://a.example/x", "http://a.example:8080/x", "another host"},
		{"https://a.example/x", "https://b.a.example/x", "another host"},
		{"https://a.example/x", "https://127.0.0.1/x", "another host"},
		{"https://a.example/x", "file://a.example/x", "another host"},
	} {
		to, via := httptest.NewRequest(http.MethodGet, c.to, nil), []*http.Request{httptest.NewRequest(http.MethodGet, c.from, nil)}
		if err := StayOnHost(to, via); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("from %s to %s: %v, want %q", c.from, c.to, err, c.want)
		}
	}
}

// TestClients: what servers that lead on are asked by clients with each rule.
func TestClients(t *testing.T) {
	asked := map[string]int{} // by path
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked["elsewhere"]++ }))
	defer elsewhere.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked[r.URL.Path]++
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		case "/on":
			http.Redirect(w, r, "/here", http.StatusFound)
		case "/round":
			http.Redirect(w, r, "/round", http.StatusFound)
		}
	}))
	defer server.Close()
	given := &http.Client{}
	for _, c := range []struct {
		client *http.Client
		path   string
		status int
		want   string // in the error
	}{
		{On(given), "/on", http.StatusOK, ""},
		{On(given), "/away", 0, "another host"},
		{On(given), "/round", 0, "more than 5 times"},
		{&http.Client{CheckRedirect: None}, "/on", http.StatusFound, ""},
		{&http.Client{CheckRedirect: None}, "/away", http.StatusTemporaryRedirect, ""},
	} {
		response, err := c.client.Post(server.URL+c.path, "text/plain", strings.NewReader("a token"))
		if err == nil {
			response.Body.Close()
		}
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || err == nil && response.StatusCode != c.status {
			t.Errorf("%s: %v, %v, want %d, %q", c.path, response, err, c.status, c.want)
		}
	}
	if asked["elsewhere"] != 0 || asked["/here"] != 1 || asked["/round"] != 6 {
		t.Errorf("asked %v", asked)
	}
	if given.CheckRedirect != nil {
		t.Error("the client that was given was changed")
	}
}

// TestOneRule: no code of this project but these rules says where redirects lead, and none
// asks by a client of all programs, which follows them anywhere.
func TestOneRule(t *testing.T) {
	own := regexp.MustCompile(`CheckRedirect(:| =)|ErrUseLastResponse|http\.(DefaultClient|Get|Head|Post|PostForm)\b`)
	allowed := regexp.MustCompile(`CheckRedirect: redirects\.(None|StayOnHost)\b`)
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		name, folder := d.Name(), filepath.ToSlash(path)
		switch {
		case err != nil:
			return err
		case d.IsDir() && (name == "node_modules" || name == "testdata" || folder == "../../e2e" || folder == "../../internal/redirects"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || strings.Contains(folder, "test/"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			code, _, _ := strings.Cut(line, "//")
			if own.MatchString(code) && !allowed.MatchString(code) {
				t.Errorf("%s: %s", path, strings.TrimSpace(line))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
