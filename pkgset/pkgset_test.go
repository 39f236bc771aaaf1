package pkgset_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/attestation"
	"repronet.dev/pkgset"
)

// path is a store path that is valid and tells names apart.
func path(name string) string {
	return "/nix/store/" + strings.Repeat(string("0123456789abcdfghijklmnpqrsvwxyz"[len(name)%32]), 32) + "-" + name
}

func TestParseList(t *testing.T) {
	text := `# the base system
` + path("hello-2.12") + `

  ` + path("a") + `   # with a comment
` + path("hello-2.12") + `
` + path("ca.drv") + `^out
`
	list, err := pkgset.Parse("nix", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	want := []pkgset.Member{
		{Key: path("a")},
		{Key: path("ca.drv") + "^out", Build: path("ca.drv"), Output: "out"},
		{Key: path("hello-2.12")},
	}
	slices.SortFunc(want, func(a, b pkgset.Member) int { return strings.Compare(a.Key, b.Key) })
	if diff := cmp.Diff(want, list.Members); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
}

func TestParseEvalJobs(t *testing.T) {
	text := strings.Join([]string{
		`{"attr":"hello","attrPath":["hello"],"drvPath":"` + path("hello.drv") + `","name":"hello-2.12.1","system":"x86_64-linux",` +
			`"outputs":{"out":"` + path("hello-2.12.1") + `","man":"` + path("hello-2.12.1-man") + `"},` +
			`"inputDrvs":{"` + path("bash-5.drv") + `":["out"],"` + path("elsewhere.drv") + `":["dev","out"]},` +
			`"meta":{"maintainers":[{"github":"grace","name":"Grace"},{"name":"Ada"},{"email":"x"}]},"isCached":false}`,
		`{"attr":"broken","error":"error: no such attribute"}`,
		`{"attr":"aliases.bash5","drvPath":"` + path("bash-5.drv") + `","name":"bash-5","outputs":{"out":"` + path("bash-5") + `"}}`,
		`{"attr":"bash","drvPath":"` + path("bash-5.drv") + `","name":"bash-5","outputs":{"out":"` + path("bash-5") + `"}}`,
		`{"attr":"floating","drvPath":"` + path("floating.drv") + `","name":"floating","outputs":{"out":null},"meta":{"version":"7"},` +
			`"inputDrvs":{"` + path("bash-5.drv") + `":{"dynamicOutputs":{},"outputs":["out"]}}}`,
		`{"attr":"src","drvPath":"` + path("source.drv") + `","name":"source","outputs":{"out":"` + path("source") + `"},"fixed":true}`,
	}, "\n")
	list, err := pkgset.Parse("nix", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	hello := pkgset.Member{
		Key: path("hello-2.12.1"), Build: path("hello.drv"), Output: "out", Attribute: "hello", Version: "2.12.1", System: "x86_64-linux",
		Maintainers: []string{"Ada", "grace"},
		Inputs:      []string{path("bash-5"), path("elsewhere.drv") + "^dev", path("elsewhere.drv") + "^out"},
	}
	slices.Sort(hello.Inputs)
	man := hello
	man.Key, man.Output = path("hello-2.12.1-man"), "man"
	want := []pkgset.Member{
		hello, man,
		{Key: path("bash-5"), Build: path("bash-5.drv"), Output: "out", Attribute: "bash", Version: "5"},
		{Key: path("floating.drv") + "^out", Build: path("floating.drv"), Output: "out", Attribute: "floating", Version: "7", Inputs: []string{path("bash-5")}},
		{Key: path("source"), Build: path("source.drv"), Output: "out", Attribute: "src", Fixed: true},
	}
	slices.SortFunc(want, func(a, b pkgset.Member) int { return strings.Compare(a.Key, b.Key) })
	if diff := cmp.Diff(want, list.Members); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	if list.Failed != 1 {
		t.Errorf("%d failed, want 1", list.Failed)
	}
	if n := pkgset.Count(list.Members); n != 4 {
		t.Errorf("%d members count, want 4: the fixed one does not", n)
	}
}

// TestParseSkips: a line that cannot be read takes nothing of the others away.
func TestParseSkips(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"a derivation for an output": {path("hello.drv"), "is a derivation: list its outputs"},
		"another ecosystem's name":   {"go/std", "named by its store path"},
		"markup":                     {path("<script>"), "its name contains '<'"},
		"no evaluation":              {`{"attr":"x"}`, "not a line of nix-eval-jobs"},
		"not JSON":                   {`{"attr":`, "not a line of nix-eval-jobs"},
		"a member twice":             {`{"attr":"x","attr":"y","error":"z"}`, "duplicate"},
		"an output that is no path":  {`{"attr":"x","drvPath":"` + path("x.drv") + `","outputs":{"dev":"` + path("dev") + `","out":"/etc/passwd"}}`, `attribute "x": output key "/etc/passwd"`},
		"an attribute with a bell":   {`{"attr":"x\u0007","drvPath":"` + path("x.drv") + `","outputs":{"out":"` + path("x") + `"}}`, "control character"},
		"a long line":                {strings.Repeat("x", 5<<20), "longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := pkgset.Parse("nix", strings.NewReader(path("first")+"\r\n"+test.text+"\n"+path("..-")+"\n"+path("last")))
			if err != nil {
				t.Fatal(err)
			}
			if len(list.Members) != 2 || list.Lines != 2 || list.Skipped.Count != 2 || list.Skipped.Line != 2 || !strings.Contains(list.Skipped.Reason, test.want) {
				t.Errorf("%d members, %+v, want two and %q", len(list.Members), list.Skipped, test.want)
			}
		})
	}
}

func TestSkippedSay(t *testing.T) {
	var s pkgset.Skipped
	s.Add(3, errors.New("it is red"))
	if got := s.Say("line"); got != "1 line could not be read: line 3: it is red" {
		t.Error(got)
	}
	s.Add(4, errors.New("it is blue"))
	if got := s.Say("path"); got != "2 paths could not be read; the first: line 3: it is red" {
		t.Error(got)
	}
	if got := (&pkgset.Skipped{Count: 1, Reason: "it is red"}).Say("component"); got != "1 component could not be read: it is red" {
		t.Error(got)
	}
}

// TestParsePathInfo takes what nix path-info --json writes, in each format, for a
// set as well.
func TestParsePathInfo(t *testing.T) {
	const hash = `"narHash":"sha256-Wsfqc3Ju3GrZ7Xq5bVj3Xdqxl0qfsgcd6P1whPUnc2Y="`
	const ignored = "/nix/store/lvzj6ycb16hvryh7qqdfiqnjlkz21s78-.gitignore" // made by Nix
	a, b := path("a"), path("bb")
	for name, text := range map[string]string{
		"list":            `[{"path":"` + a + `",` + hash + `},{"path":"` + ignored + `",` + hash + `,"references":[]},{"path":"` + b + `",` + hash + `,"ca":"fixed:r:sha256:x"},` + "\n" + `{"path":"` + path("x.drv") + `",` + hash + `}]`,
		"format 1":        `{"` + a + `":{` + hash + `,"ca":null},"` + ignored + `":{` + hash + `},"` + b + `":{"ca":"text:x"},` + "\n" + `"` + path("x.drv") + `":{` + hash + `}}`,
		"format 2":        "{\n" + `"version":2,"storeDir":"/nix/store","info":{"` + a[11:] + `":{` + hash + `},"` + ignored[11:] + `":{` + hash + `},"` + b[11:] + `":{"ca":{"method":"nar"}},"` + path("x.drv")[11:] + `":{` + hash + `}}}`,
		"with a BOM":      "\ufeff[\n" + `{"path":"` + a + `",` + hash + `},{"path":"` + ignored + `",` + hash + `},{"path":"` + b + `","ca":"x"},{"path":"` + path("x.drv") + `",` + hash + `}]`,
		"after a comment": "# mine\n" + `[{"path":"` + a + `",` + hash + `},{"path":"` + ignored + `",` + hash + `},{"path":"` + b + `","ca":"x"},{"path":"` + path("x.drv") + `",` + hash + `}]`,
	} {
		t.Run(name, func(t *testing.T) {
			list, err := pkgset.Parse("nix", strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			want := []pkgset.Member{{Key: a}, {Key: b, Fixed: true}, {Key: ignored, Fixed: true}}
			slices.SortFunc(want, func(a, b pkgset.Member) int { return strings.Compare(a.Key, b.Key) })
			if diff := cmp.Diff(want, list.Members); diff != "" {
				t.Errorf("members (-want +got):\n%s", diff)
			}
			if list.Lines != 3 || list.Skipped.Count != 1 || list.Skipped.Line != 2 || !strings.Contains(list.Skipped.Reason, "is a derivation") {
				t.Errorf("%d lines, skipped %+v", list.Lines, list.Skipped)
			}
		})
	}
	for text, want := range map[string]string{
		`{"info":{},"version":9}`: "format 9 is not known", "[": "unexpected EOF", "[1] [2]": "after the document",
		"[\n1]\n" + path("a"): "after the document",
	} {
		if _, err := pkgset.Parse("nix", strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// TestLacks: nix-eval-jobs leaves out what it is not asked for.
func TestLacks(t *testing.T) {
	job := func(more string) string {
		return `{"attr":"x","drvPath":"` + path("x.drv") + `","outputs":{"out":"` + path("x") + `"}` + more + "}\n"
	}
	const edges, meta = "input edges (--show-input-drvs)", "maintainers and stated versions (--meta)"
	for text, want := range map[string][]string{
		job(""): {edges, meta}, job(`,"inputDrvs":{}`): {meta}, job(`,"meta":{}`): {edges}, job(`,"meta":null,"inputDrvs":{}`): {meta}, job(`,"meta":{},"inputDrvs":{}`): nil,
		job("") + job(`,"meta":{},"inputDrvs":{}`): nil, path("x"): nil, "": nil,
	} {
		list, err := pkgset.Parse("nix", strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, list.Lacks); diff != "" {
			t.Errorf("%s lacks (-want +got):\n%s", text, diff)
		}
	}
}

func members() []pkgset.Member {
	return []pkgset.Member{
		{Key: path("b"), Version: "1", Maintainers: []string{"ada", "grace"}, Inputs: []string{path("aa")}},
		{Key: path("aa"), Fixed: true},
		{Key: path("ccc.drv") + "^out", Build: path("ccc.drv"), Output: "out", System: "x86_64-linux"},
	}
}

func TestEncodeIsCanonical(t *testing.T) {
	first, err := pkgset.Encode("nix", members())
	if err != nil {
		t.Fatal(err)
	}
	reversed := members()
	slices.Reverse(reversed)
	second, err := pkgset.Encode("nix", reversed)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second) {
		t.Errorf("the order of members changes the attachment:\n%s\n%s", first, second)
	}
	got, err := pkgset.Decode("nix", first)
	if err != nil {
		t.Fatal(err)
	}
	want := members()
	slices.SortFunc(want, func(a, b pkgset.Member) int { return strings.Compare(a.Key, b.Key) })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("decoded (-want +got):\n%s", diff)
	}
}

func TestDecodeRefuses(t *testing.T) {
	good, err := pkgset.Encode("nix", members())
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(good), "\n")
	for name, text := range map[string]string{
		"no line end":     strings.TrimSuffix(string(good), "\n"),
		"another order":   lines[1] + lines[0] + lines[2],
		"a line twice":    lines[0] + lines[0],
		"an empty line":   "\n" + string(good),
		"spaces":          strings.Replace(string(good), `":`, `": `, 1),
		"unknown members": strings.Replace(string(good), `{"key"`, `{"x":1,"key"`, 1),
		"other case":      strings.Replace(string(good), `"key"`, `"Key"`, 1),
		"no key":          "{}\n",
		"unsorted people": strings.Replace(string(good), `["ada","grace"]`, `["grace","ada"]`, 1),
		"a bad input":     strings.Replace(string(good), `"inputs":["/nix/store/`, `"inputs":["/etc/`, 1),
		"not JSON":        "x\n",
	} {
		t.Run(name, func(t *testing.T) {
			if text == string(good) {
				t.Fatal("the test changes nothing")
			}
			if _, err := pkgset.Decode("nix", []byte(text)); err == nil {
				t.Errorf("accepted:\n%s", text)
			}
		})
	}
}

func TestFilter(t *testing.T) {
	filter := pkgset.Filter("nix", members())
	if len(filter) != 2*12 {
		t.Fatalf("%d bytes, want two prefixes of 12", len(filter))
	}
	if bytes.Compare(filter[:12], filter[12:]) >= 0 {
		t.Error("not sorted")
	}
	for key, want := range map[string]bool{path("b"): true, path("aa"): false, path("elsewhere"): false} {
		id := attestation.NewOutputID("nix", key)
		if got := bytes.Equal(filter[:12], id[:12]) || bytes.Equal(filter[12:], id[:12]); got != want {
			t.Errorf("%s in the filter: %v, want %v", key, got, want)
		}
	}
}

func TestEntry(t *testing.T) {
	e := pkgset.Entry{Name: "nixos-minimal", Revision: "26.05 <x>", Ecosystem: "nix", Members: 3, SHA256: attestation.Digest{1}}
	body, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := pkgset.ParseEntry(body)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&e, got); diff != "" {
		t.Errorf("entry (-want +got):\n%s", diff)
	}
	for name, change := range map[string]func(*pkgset.Entry){
		"name":      func(e *pkgset.Entry) { e.Name = "../etc" },
		"revision":  func(e *pkgset.Entry) { e.Revision = "" },
		"control":   func(e *pkgset.Entry) { e.Revision = "a\nb" },
		"ecosystem": func(e *pkgset.Entry) { e.Ecosystem = "Nix" },
		"members":   func(e *pkgset.Entry) { e.Members = -1 },
		"sha256":    func(e *pkgset.Entry) { e.SHA256 = attestation.Digest{} },
	} {
		bad := e
		change(&bad)
		if _, err := bad.Encode(); err == nil {
			t.Errorf("an entry with a wrong %s is encoded", name)
		}
	}
}

func FuzzDecode(f *testing.F) {
	good, err := pkgset.Encode("nix", members())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		decoded, err := pkgset.Decode("nix", data)
		if err != nil {
			return
		}
		again, err := pkgset.Encode("nix", decoded)
		if err != nil {
			t.Fatalf("encoding what was decoded: %v", err)
		}
		if !bytes.Equal(again, data) {
			t.Errorf("decoded\n%q\nencodes as\n%q", data, again)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add("nix", path("hello")+"\n")
	f.Add("nix", `{"attr":"x","drvPath":"`+path("x.drv")+`","name":"x-1","outputs":{"out":null},"inputDrvs":{"`+path("y.drv")+`":["out"]}}`)
	f.Add("generic", "acme/x^out # why")
	f.Fuzz(func(t *testing.T, ecosystem, text string) {
		list, err := pkgset.Parse(ecosystem, strings.NewReader(text))
		if err != nil {
			return
		}
		attachment, err := pkgset.Encode(ecosystem, list.Members)
		if err != nil {
			t.Fatalf("encoding what was parsed: %v", err)
		}
		if _, err := pkgset.Decode(ecosystem, attachment); err != nil {
			t.Fatalf("decoding what was encoded: %v", err)
		}
	})
}

func FuzzParseEntry(f *testing.F) {
	f.Add([]byte(`{"name":"a","revision":"1","ecosystem":"nix","members":1,"sha256":"` + strings.Repeat("01", 32) + `"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := pkgset.ParseEntry(body)
		if err != nil {
			return
		}
		if _, err := e.Encode(); err != nil {
			t.Errorf("encoding what was parsed: %v", err)
		}
	})
}
