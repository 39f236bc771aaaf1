package gitian

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/attestation"
	"repronet.dev/evidence/openpgp"
)

const (
	hexA   = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	hexB   = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	commit = "047a89831760ff124740fe9f58411d57ee087078"
	sigs   = "dc54b523624528acaa053bcd9a22990685b074a5"
)

// block is an assertion with block texts; quoted has the same in the texts that older
// programs wrote.
const (
	block = `--- !!omap
- out_manifest: |
    ` + hexA + `  demo-1.0-linux64.tar.gz
    ` + hexB + `  src/demo-1.0.tar.gz
- in_manifest: |-
    ` + hexB + `  demo-linux-desc.yml
    git:` + commit + ` demo
- base_manifests: !!omap
  - precise-amd64: |
      ` + hexA + `  adduser_3.113ubuntu2_all.deb
- cache_common_manifest: ''
- optionals:
- release: 1.0-linux
- name: demo-linux
- type: source
`
	quoted = `--- !omap
- out_manifest: ! '` + hexA + `  demo-1.0-linux64.tar.gz

    ` + hexB + `  src/demo-1.0.tar.gz

'
- in_manifest: ! '` + hexB + `  demo-linux-desc.yml

    git:` + commit + ` demo'
- base_manifests: !omap
  - precise-amd64: ! '` + hexA + `  adduser_3.113ubuntu2_all.deb

'
- release: 1.0-linux
- name: demo-linux
`
	mapping = `---
name: demo-linux
release: "1.0-linux"
out_manifest: |
  ` + hexA + `  demo-1.0-linux64.tar.gz
  ` + hexB + `  src/demo-1.0.tar.gz
in_manifest: |
  ` + hexB + `  demo-linux-desc.yml
  git:` + commit + ` demo
base_manifests:
  precise-amd64: |
    ` + hexA + `  adduser_3.113ubuntu2_all.deb
`
)

func parseDigest(t *testing.T, hex string) attestation.Digest {
	t.Helper()
	d, err := attestation.ParseDigest(hex)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestSpellingsOfYAML: what gsign wrote at various times says the same.
func TestSpellingsOfYAML(t *testing.T) {
	var inputs attestation.Digest
	for name, text := range map[string]string{"block": block, "quoted": quoted, "mapping": mapping, "CR LF": strings.ReplaceAll(block, "\n", "\r\n")} {
		t.Run(name, func(t *testing.T) {
			a, err := Parse("demo", []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			want := []openpgp.Claim{
				{Output: "demo/demo-linux@" + commit + "/demo-1.0-linux64.tar.gz", Digest: parseDigest(t, hexA)},
				{Output: "demo/demo-linux@" + commit + "/src/demo-1.0.tar.gz", Digest: parseDigest(t, hexB)},
			}
			if diff := cmp.Diff(want, a.Rows.Claims); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if a.Name != "demo-linux" || a.Release != "1.0-linux" || len(a.Commits) != 1 || a.Commits[0] != (Commit{"demo", commit}) {
				t.Errorf("%+v", a)
			}
			if inputs.IsZero() {
				inputs = a.Inputs
			}
			if a.Inputs != inputs {
				t.Error("the same inputs have another digest")
			}
		})
	}
}

// TestKeys: what went in tells builds of one name apart.
func TestKeys(t *testing.T) {
	prefix := func(in string) string {
		t.Helper()
		text := "name: demo-linux\nout_manifest: |\n  " + hexA + "  x\nin_manifest: |\n" + in
		a, err := Parse("demo", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSuffix(strings.TrimPrefix(a.Rows.Claims[0].Output, "demo/demo-linux@"), "/x")
	}
	two := "  git:" + sigs + " signature\n  git:" + commit + " demo\n"
	if got := prefix(two); got != commit+"+"+sigs {
		t.Errorf("two sources: %s", got)
	}
	without := prefix("  " + hexB + "  demo-desc.yml\n  " + hexA + "  openssl-1.0.1.tar.gz\n")
	again := prefix("  " + hexA + "  openssl-1.0.1.tar.gz\n  " + hexB + "  demo-desc.yml\n")
	other := prefix("  " + hexB + "  demo-desc.yml\n  " + hexB + "  openssl-1.0.1.tar.gz\n")
	if !strings.HasPrefix(without, "inputs-") || len(without) != len("inputs-")+40 || without != again || without == other {
		t.Errorf("without a commit: %s, %s, %s", without, again, other)
	}
}

// TestInputs: another base system, source or file is another digest of inputs, and
// no other output where the commits are the same.
func TestInputs(t *testing.T) {
	first, err := Parse("demo", []byte(block))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"another package":     strings.Replace(block, hexA+"  adduser_3.113", hexB+"  adduser_3.113", 1),
		"another system":      strings.Replace(block, "precise-amd64", "precise-i386", 1),
		"another file":        strings.Replace(block, hexB+"  demo-linux-desc", hexA+"  demo-linux-desc", 1),
		"a line of no format": strings.Replace(block, "    git:", "    /home/ana/inputs\n    git:", 1),
	} {
		a, err := Parse("demo", []byte(text))
		if err != nil {
			t.Fatal(name, err)
		}
		if a.Inputs == first.Inputs {
			t.Errorf("%s: the same inputs", name)
		}
		if diff := cmp.Diff(first.Rows.Outputs(), a.Rows.Outputs()); diff != "" {
			t.Errorf("%s: other outputs:\n%s", name, diff)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	commits := strings.Repeat("    git:"+commit+" demo\n", maxCommits)
	for name, test := range map[string]struct{ text, want string }{
		"nothing":              {"", "not YAML"},
		"no YAML":              {"a: [", "not YAML"},
		"a text":               {"hello\n", "neither members"},
		"two documents":        {block + "---\n" + block, "more than one document"},
		"no name":              {strings.Replace(block, "- name: demo-linux\n", "", 1), "no member name"},
		"no outputs":           {strings.Replace(block, "out_manifest", "out", 1), "no member out_manifest"},
		"no inputs":            {strings.Replace(block, "in_manifest", "in", 1), "no member in_manifest"},
		"a member twice":       {block + "- name: other\n", "twice"},
		"two members in one":   {strings.Replace(block, "- name: demo-linux\n", "- name: demo-linux\n  more: x\n", 1), "not one member"},
		"an alias":             {strings.Replace(block, "name: demo-linux", "name: &a demo-linux\n- other: *a", 1), "anchors and aliases"},
		"outputs of members":   {strings.Replace(mapping, "out_manifest: |\n  "+hexA+"  demo-1.0-linux64.tar.gz\n  "+hexB+"  src/demo-1.0.tar.gz\n", "out_manifest:\n  a: b\n", 1), "is not a text"},
		"no rows":              {"name: x\nout_manifest: ''\nin_manifest: ''\n", "no rows"},
		"no usable row":        {"name: x\nout_manifest: |\n  hello\n  ../x\nin_manifest: ''\n", "none of its 2 rows"},
		"a name with a slash":  {strings.Replace(block, "name: demo-linux", "name: ../x", 1), "descriptor's name"},
		"an empty name":        {strings.Replace(block, "name: demo-linux", "name: ''", 1), "descriptor's name"},
		"very many commits":    {strings.Replace(block, "    git:"+commit+" demo\n", commits+"    git:"+sigs+" demo\n", 1), "at most 8"},
		"a system of members":  {strings.Replace(mapping, "precise-amd64: |\n    "+hexA+"  adduser_3.113ubuntu2_all.deb", "precise-amd64:\n    a: b", 1), "is not a text"},
		"systems of no system": {strings.Replace(mapping, "base_manifests:\n  precise-amd64: |\n    "+hexA+"  adduser_3.113ubuntu2_all.deb", "base_manifests: hello", 1), "base_manifests"},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := Parse("demo", []byte(test.text))
			if !errors.Is(err, openpgp.ErrMalformed) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%+v, %v", a, err)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{block, quoted, mapping} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		a, err := Parse("demo", text)
		if err != nil {
			if !errors.Is(err, openpgp.ErrMalformed) {
				t.Errorf("error of another kind: %v", err)
			}
			return
		}
		outputs := a.Rows.Outputs()
		if len(outputs) == 0 {
			t.Error("it says nothing")
		}
		for _, output := range outputs {
			if !strings.HasPrefix(output, "demo/"+a.Name+"@") || attestation.ValidateOutput("release", output) != nil {
				t.Errorf("output %q", output)
			}
		}
	})
}
