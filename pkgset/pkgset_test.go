package pkgset_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet/attestation"
	"repronet/pkgset"
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

func TestParseRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"a derivation for an output": path("hello.drv"),
		"another ecosystem's name":   "go/std",
		"markup":                     path("<script>"),
		"no evaluation":              `{"attr":"x"}`,
		"not JSON":                   `{"attr":`,
		"a member twice":             `{"attr":"x","attr":"y","error":"z"}`,
		"an output that is no path":  `{"attr":"x","drvPath":"` + path("x.drv") + `","outputs":{"out":"/etc/passwd"}}`,
		"an attribute with a bell":   `{"attr":"x\u0007","drvPath":"` + path("x.drv") + `","outputs":{"out":"` + path("x") + `"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := pkgset.Parse("nix", strings.NewReader("# first line\n"+text))
			if err == nil || !strings.Contains(err.Error(), "line 2") {
				t.Errorf("error %v, want one about line 2", err)
			}
		})
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
