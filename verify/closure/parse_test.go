package closure_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet/attestation"
	"repronet/evidence/narinfo"
	"repronet/verify"
	"repronet/verify/closure"
)

const (
	demo   = "/nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-demo-1.0"
	lib    = "/nix/store/7gx4kiv5m0i7d7qkixq2cwzbr10lvxwc-libdemo-2.0"
	source = "/nix/store/13q2r2i6djpyw6z89baz335x8j1clld2-demo-1.0.tar.gz"
	sri    = "sha256-fx1cf4ejylyXr35+XPMhjToCg58fD/2x+6oseyze6sI="
	nix32  = "sha256:0lxjvvpr59c2mdram7ympy5ay741f180kv3349hvfc3f8nrmbqf6"
)

func digest(t *testing.T, s string) *attestation.Digest {
	t.Helper()
	d, err := narinfo.ParseHash(s)
	if err != nil {
		t.Fatal(err)
	}
	return &d
}

func item(key string, digest *attestation.Digest) closure.Item {
	return closure.Item{Output: verify.Output{Ecosystem: verify.EcosystemOf(key), Key: key}, Digest: digest}
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
			closure.List{Items: []closure.Item{item(demo, digest(t, sri)), item(lib, digest(t, nix32))}, Apart: []string{source}},
		},
		{
			"path-info of Nix 2.19",
			fmt.Sprintf(`{%q: {"narHash": %q, "ca": null, "signatures": []}, %q: {"narHash": %q, "ca": "text:sha256:1f75"}}`, demo, sri, source, sri),
			closure.List{Items: []closure.Item{item(demo, digest(t, sri))}, Apart: []string{source}},
		},
		{
			"sbomnix",
			fmt.Sprintf(`{"bomFormat":"CycloneDX","specVersion":"1.4","metadata":{"component":{"bom-ref":"%[1]s.drv","purl":"pkg:nix/demo@1.0",
				"properties":[{"name":"nix:output_path","value":%[1]q},{"name":"nix:drv_path","value":"%[1]s.drv"}]}},
				"components":[{"bom-ref":"%[2]s.drv","properties":[{"name":"nix:output_path","value":%[2]q},{"name":"nix:output_path","value":"%[2]s-dev"}]},
				{"bom-ref":"%[1]s.drv","properties":[{"name":"nix:output_path","value":%[1]q}]}]}`, demo, lib),
			closure.List{Items: []closure.Item{item(lib, nil), item(lib+"-dev", nil), item(demo, nil)}},
		},
		{
			"bombon",
			fmt.Sprintf(`{"bomFormat":"CycloneDX","components":[{"bom-ref":%q,"components":[{"bom-ref":"serde","purl":"pkg:cargo/serde@1"}]}]}`, demo),
			closure.List{Items: []closure.Item{item(demo, nil)}, Unnamed: 1},
		},
		{
			"lines",
			"# a system\n\n" + demo + "\n  " + lib + " " + sri + "\n" + demo + " " + nix32 + "\nalice/hello^bin\n/nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-demo-1.0.drv",
			closure.List{Items: []closure.Item{item(demo, digest(t, nix32)), item(lib, digest(t, sri)), item("alice/hello^bin", nil)}, Apart: []string{demo + ".drv"}},
		},
		{"nothing", "", closure.List{}},
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

func TestParseRefuses(t *testing.T) {
	deep := strings.Repeat(`{"components":[`, 40) + strings.Repeat(`]}`, 40)
	for text, want := range map[string]string{
		"[": "", "{": "", "[1]": "", "{}x": "",
		`[{"path":"/etc/passwd","narHash":"` + sri + `"}]`:                                                    "output key",
		`[{"path":"` + demo + `"}]`:                                                                           "narHash",
		`[{"path":"` + demo + `","narHash":"sha512:x"}]`:                                                      "narHash",
		`[{"path":"` + demo + `","valid":false}]`:                                                             "not in the store",
		`[{"path":"` + demo + `","narHash":"` + sri + `","narHash":"` + sri + `"}]`:                           "duplicate",
		`[{"path":"` + demo + `","narHash":"` + sri + `"},{"path":"` + demo + `","narHash":"` + nix32 + `"}]`: "two digests",
		`[{"path":"/x","ca":"text:"}]`:                                                                        "output key",
		`{"` + demo + `": null}`:                                                                              "not in the store",
		`{"info": {}, "version": 3}`:                                                                          "--json-format 1",
		`{"spdxVersion": "SPDX-2.3"}`:                                                                         "neither a CycloneDX",
		`{"bomFormat": "SPDX"}`:                                                                               "only CycloneDX",
		`{"bomFormat": "CycloneDX", "components": [` + deep + `]}`:                                            "nested deeper",
		`{"bomFormat": "CycloneDX", "components": [{"properties": [{"name": "nix:output_path", "value": "../x"}]}]}`: "output key",
		demo + " sha256:12":     "not a SHA-256",
		demo + " " + sri + " x": "at most a digest",
		"hello":                 "line 1: output key",
		demo + "\x00":           "output key",
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
