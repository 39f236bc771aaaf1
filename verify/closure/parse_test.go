package closure_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/attestation"
	"repronet.dev/ecosystem"
	"repronet.dev/evidence/narinfo"
	"repronet.dev/pkgset"
	"repronet.dev/verify"
	"repronet.dev/verify/closure"
)

const (
	demo    = "/nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-demo-1.0"
	lib     = "/nix/store/7gx4kiv5m0i7d7qkixq2cwzbr10lvxwc-libdemo-2.0"
	source  = "/nix/store/13q2r2i6djpyw6z89baz335x8j1clld2-demo-1.0.tar.gz"
	ignored = "/nix/store/lvzj6ycb16hvryh7qqdfiqnjlkz21s78-.gitignore"
	sri     = "sha256-fx1cf4ejylyXr35+XPMhjToCg58fD/2x+6oseyze6sI="
	nix32   = "sha256:0lxjvvpr59c2mdram7ympy5ay741f180kv3349hvfc3f8nrmbqf6"
)

func digest(t *testing.T, s string) *attestation.Digest {
	t.Helper()
	d, err := narinfo.ParseHash(s)
	if err != nil {
		t.Fatal(err)
	}
	return &d
}

func base(path string) string { return strings.TrimPrefix(path, ecosystem.NixStore) }

func item(key string, digest *attestation.Digest) closure.Item {
	return closure.Item{Output: verify.Output{Ecosystem: ecosystem.OfKey(key), Key: key}, Digest: digest}
}

func TestParse(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       closure.List
	}{
		{
			"path-info of Nix 2.8",
			fmt.Sprintf(`[{"path":%q,"narHash":%q,"narSize":128,"references":[],"deriver":"/nix/store/x.drv","registrationTime":1795369484,"ultimate":true},
				{"path":%q,"narHash":%q,"ca":"fixed:r:sha256:1f75","narSize":1,"references":[]}, {"path":%q,"narHash":%q}]`, demo, sri, source, sri, lib, nix32),
			closure.List{Of: "path", Taken: 3, Items: []closure.Item{item(demo, digest(t, sri)), item(lib, digest(t, nix32))}, Apart: []string{source}},
		},
		{
			"path-info of Nix 2.19",
			fmt.Sprintf(`{%q: {"narHash": %q, "ca": null, "signatures": []}, %q: {"narHash": %q, "ca": "text:sha256:1f75"}}`, demo, sri, source, sri),
			closure.List{Of: "path", Taken: 2, Items: []closure.Item{item(demo, digest(t, sri))}, Apart: []string{source}},
		},
		{
			"path-info, format 3",
			fmt.Sprintf(`{"info": {%q: {"narHash": %q, "ca": null, "references": [], "signatures": [{"keyName": "k", "sig": "x"}], "storeDir": "/nix/store", "version": 3},
				%q: {"narHash": {"algorithm": "sha256", "format": "base64", "hash": %q}, "ca": {"method": "nar", "hash": %q}}}, "storeDir": "/nix/store", "version": 3}`,
				base(demo), sri, base(source), strings.TrimPrefix(sri, "sha256-"), sri),
			closure.List{Of: "path", Taken: 2, Items: []closure.Item{item(demo, digest(t, sri))}, Apart: []string{source}},
		},
		{
			"a source whose address was left out", // made by Nix 2.8
			fmt.Sprintf(`[{"path":%q,"narHash":"sha256-Wsfqc3Ju3GrZ7Xq5bVj3Xdqxl0qfsgcd6P1whPUnc2Y=","references":[]},{"path":%q,"narHash":%q}]`, ignored, demo, sri),
			closure.List{Of: "path", Taken: 2, Items: []closure.Item{item(demo, digest(t, sri))}, Apart: []string{ignored}},
		},
		{
			"nix-eval-jobs",
			fmt.Sprintf(`{"attr":"demo","attrPath":["demo"],"drvPath":"%[1]s.drv","name":"demo-1.0","system":"x86_64-linux","outputs":{"out":%[1]q,"man":null}}
{"attr":"broken","attrPath":["broken"],"error":"it is marked as broken"}
{"attr":"src","drvPath":"%[2]s.drv","name":"demo-1.0.tar.gz","system":"x86_64-linux","outputs":{"out":%[2]q},"fixed":true}
no line of nix-eval-jobs
`, demo, source),
			closure.List{Of: "line", Taken: 2, Failed: 1, Apart: []string{source}, Skipped: pkgset.Skipped{Count: 1, Line: 4, Reason: `output key "no line of nix-eval-jobs": an output of nix is named by its store path, /nix/store/<hash>-<name>, or by <derivation>^<output>: it is not below /nix/store/`}, Items: []closure.Item{
				{Output: verify.Output{Ecosystem: "nix", Key: demo}, Place: closure.Place{Attribute: "demo", System: "x86_64-linux", Name: "out"}},
				{Output: verify.Output{Ecosystem: "nix", Key: demo + ".drv^man"}, Place: closure.Place{Attribute: "demo", System: "x86_64-linux", Name: "man"}},
			}},
		},
		{
			"nix-eval-jobs that evaluated nothing first",
			fmt.Sprintf(`{"attr":"broken","error":"it is marked as broken"}
{"attr":"demo","drvPath":"%[1]s.drv","name":"demo-1.0","system":"x86_64-linux","outputs":{"out":%[1]q}}`, demo),
			closure.List{Of: "line", Taken: 1, Failed: 1, Items: []closure.Item{
				{Output: verify.Output{Ecosystem: "nix", Key: demo}, Place: closure.Place{Attribute: "demo", System: "x86_64-linux", Name: "out"}},
			}},
		},
		{
			"sbomnix",
			fmt.Sprintf(`{"bomFormat":"CycloneDX","specVersion":"1.4","metadata":{"component":{"bom-ref":"%[1]s.drv","purl":"pkg:nix/demo@1.0",
				"properties":[{"name":"nix:output_path","value":%[1]q},{"name":"nix:drv_path","value":"%[1]s.drv"}]}},
				"components":[{"bom-ref":"%[2]s.drv","properties":[{"name":"nix:output_path","value":%[2]q},{"name":"nix:output_path","value":"%[2]s-dev"}]},
				{"type":"file","bom-ref":"%[3]s.drv","properties":[{"name":"nix:output_path","value":%[3]q},{"name":"nix:fetch_url","value":"mirror://x/demo.tar.gz"}]},
				{"bom-ref":"%[1]s.drv","properties":[{"name":"nix:output_path","value":%[1]q}]}]}`, demo, lib, source),
			closure.List{Of: "component", Taken: 4, Items: []closure.Item{item(lib, nil), item(lib+"-dev", nil), item(demo, nil)}, Sources: []string{source}},
		},
		{
			"bombon",
			fmt.Sprintf(`{"bomFormat":"CycloneDX","specVersion":"1.5","metadata":{"component":{"bom-ref":%q}},"components":[
				{"type":"application","bom-ref":%q,"name":"libdemo","version":"2.0","scope":"required","purl":"pkg:nix/libdemo@2.0"},
				{"bom-ref":%q,"hashes":[{"alg":"SHA-256","content":"7f1d"}],"externalReferences":[{"type":"vcs","url":"https://x"}]},
				{"bom-ref":"serde","purl":"pkg:cargo/serde@1"},{"bom-ref":"registry+https://github.com/rust-lang/crates.io-index#serde@1.0.1"}]}`, base(demo), base(lib), base(source)),
			closure.List{Of: "component", Taken: 3, Items: []closure.Item{item(lib, nil), item(demo, nil)}, Sources: []string{source}, Unnamed: 2},
		},
		{
			"genealogos",
			fmt.Sprintf(`{"bomFormat":"CycloneDX","specVersion":"1.5","version":1,"components":[{"bom-ref":%q,"description":"","externalReferences":[],"name":"demo","type":"application"},
				{"bom-ref":%q,"name":"demo","components":[{"bom-ref":"serde","purl":"pkg:cargo/serde@1"}]},{"bom-ref":%q,"name":"source"},{"bom-ref":%q}]}`,
				source, demo, strings.Replace(lib, "libdemo-2.0", "source", 1), demo+".drv"),
			closure.List{Of: "component", Taken: 3, Items: []closure.Item{item(demo, nil)}, Sources: []string{source, strings.Replace(lib, "libdemo-2.0", "source", 1)}, Unnamed: 2},
		},
		{
			"lines",
			"\ufeff# a system\n\n" + demo + "\r\n  " + lib + " " + sri + "\n" + demo + " " + nix32[len("sha256:"):] + "\nalice/hello^bin\n/nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-demo-1.0.drv\n" + ignored,
			closure.List{Of: "line", Taken: 6, Items: []closure.Item{item(demo, digest(t, nix32)), item(lib, digest(t, sri)), item("alice/hello^bin", nil), item(ignored, nil)}, Apart: []string{demo + ".drv"}},
		},
		{"nothing", "", closure.List{Of: "line"}},
		{"no path", "{}", closure.List{Of: "line"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := closure.Parse(strings.NewReader(test.text), "")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	got, err := closure.Parse(strings.NewReader("hello_1.0/hello.deb"), "debian")
	if err != nil || got.Items[0].Ecosystem != "debian" {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestSkips: what cannot be read is counted, and takes nothing of the rest away.
func TestSkips(t *testing.T) {
	good := `{"path":"` + lib + `","narHash":"` + sri + `"}`
	for name, test := range map[string]struct {
		text string
		want pkgset.Skipped
	}{
		"lines": {lib + "\n\nhello\n" + demo + " sha256:12\n" + demo + " x y\n", pkgset.Skipped{Count: 3, Line: 3, Reason: `output key "hello": an output is named as <build>^<output>, or as <project>/<file>`}},
		"a hash": {
			"[" + good + ",\n" + `{"path":"` + demo + `","narHash":"sha512-x"},` + "\n" + `{"path":"/etc/passwd"}]`,
			pkgset.Skipped{Count: 2, Line: 2, Reason: demo + `: narHash: "sha512-x" is not a SHA-256 digest: want 64 hexadecimal digits, 52 characters of Nix's base 32, or sha256- and base 64`},
		},
		"not in the store":  {"[" + good + `, {"path":"` + demo + `","valid":false}, 1]`, pkgset.Skipped{Count: 2, Line: 1, Reason: demo + " is not in the store"}},
		"null":              {"{\n" + `"` + demo + `": null,` + "\n" + `"` + lib + `":` + good + "}", pkgset.Skipped{Count: 1, Line: 2, Reason: demo + " is not in the store"}},
		"without a hash":    {"[\n" + good + ",\n\n" + `{"path":"` + demo + `"}]`, pkgset.Skipped{Count: 1, Line: 4, Reason: demo + ": narHash: it is missing"}},
		"format 2":          {`{"version":2,` + "\n" + `"info":{"` + base(lib) + `":` + good + ",\n\n" + `"x":` + good + `}}`, pkgset.Skipped{Count: 1, Line: 4, Reason: `"/nix/store/x" is not a store path: the store is not followed by 32 characters of base 32 and a dash`}},
		"two digests":       {"[" + good + ",\n" + `{"path":"` + lib + `","narHash":"` + strings.Replace(nix32, "0lx", "1lx", 1) + `"}]`, pkgset.Skipped{Count: 1, Line: 2, Reason: lib + " is listed with two digests"}},
		"another algorithm": {"[" + good + ",\n" + `{"path":"` + demo + `","narHash":{"algorithm":"sha512","hash":"x"}}]`, pkgset.Skipped{Count: 1, Line: 2, Reason: demo + `: narHash: its algorithm is "sha512", not sha256`}},
		"a component": {
			`{"bomFormat":"CycloneDX","components":[{"bom-ref":"a","properties":[{"name":"nix:output_path","value":"../x"},{"name":"nix:output_path","value":"` + lib + `"}]}]}`,
			pkgset.Skipped{Count: 1, Reason: `component "a": "/nix/store/../x" is not a store path: the store is not followed by 32 characters of base 32 and a dash`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := closure.Parse(strings.NewReader(test.text), "")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got.Skipped); diff != "" {
				t.Errorf("skipped (-want +got):\n%s", diff)
			}
			if len(got.Items) != 1 || got.Items[0].Key != lib || got.Taken != 1 {
				t.Errorf("%+v, want %s alone", got, lib)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	deep := strings.Repeat(`{"components":[`, 40) + strings.Repeat(`]}`, 40)
	for text, want := range map[string]string{
		"[": "", "{": "", "[1]": "1 path could not be read", "{}x": "",
		`[{"path":"/etc/passwd","narHash":"` + sri + `"}]`:                          "not below /nix/store/",
		`[{"path":"` + demo + `","narHash":"` + sri + `","narHash":"` + sri + `"}]`: "duplicate",
		`{"info": {}, "version": 4}`:                                                "--json-format 1 to 3",
		`{"info": {}, "version": "x"}`:                                              "--json-format 1 to 3",
		`{"version": 2, "storeDir": "/gnu/store", "info": {}}`:                      `of the store "/gnu/store"`,
		`{"version": 2, "storeDir": "/nix/store"}`:                                  `no "info"`,
		`{"version": 2, "info": []}`:                                                `"info" is no object`,
		`{"version": 2, "info": {}} x`:                                              "",
		`[] []`:                                                                     "after the document",
		`{"spdxVersion": "SPDX-2.3"}`:                                               "neither a CycloneDX",
		`{"bomFormat": "SPDX"}`:                                                     "only CycloneDX",
		`{"bomFormat": "CycloneDX", "components": [` + deep + `]}`:                  "nested deeper",
		`{"bomFormat": "CycloneDX", "components": [{"properties": [{"name": "nix:output_path", "value": "../x"}]}]}`: "1 component could not be read",
		demo + " sha256:12\n" + demo + " " + sri + " x":                                                              "2 lines could not be read; the first: line 1",
		"hello":       "line 1: output key",
		demo + "\x00": "output key",
	} {
		if got, err := closure.Parse(strings.NewReader(text), ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.100s: %+v, %v, want %q", text, got, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`[{"path":"` + demo + `","narHash":"` + sri + `"}]`)
	f.Add(`{"bomFormat":"CycloneDX","components":[{"bom-ref":"` + demo + `"}]}`)
	f.Add(demo + " " + sri)
	f.Fuzz(func(t *testing.T, text string) {
		list, err := closure.Parse(strings.NewReader(text), "")
		if err != nil {
			return
		}
		seen := map[verify.Output]bool{}
		for _, i := range list.Items {
			if err := attestation.ValidateOutput(i.Ecosystem, i.Key); err != nil || seen[i.Output] {
				t.Errorf("%+v: %v, seen %t", i, err, seen[i.Output])
			}
			seen[i.Output] = true
		}
	})
}
