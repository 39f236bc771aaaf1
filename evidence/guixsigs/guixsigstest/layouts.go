package guixsigstest

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	pgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"repronet.dev/evidence/openpgp/openpgptest"
)

// Made is a directory with documents and keys in all the ways in which public
// repositories have them.
type Made struct {
	Dir  string
	Keys string // a directory of its own with one more key
	// Documents are the paths of the documents, Others of the files that are no
	// document, no signature and no key, and Bad those that cannot be read.
	Documents, Others, Bad []string
	Rows                   Rows
	Signatures             int      // of all documents
	Names                  []string // of the files that the documents' rows name, each once
}

// Rows is how the rows of all documents are to be read.
type Rows struct{ Total, Read, Ambiguous, Unread int }

// Digest is a digest to write into rows.
func Digest(n int) string { return fmt.Sprintf("%064x", n) }

const signers = 23 // as many as releases of Bitcoin Core carry today

// MakeSums makes a directory of checksums, signed at a time.
func MakeSums(tb testing.TB, at time.Time) *Made {
	tb.Helper()
	m := &Made{Dir: tb.TempDir(), Keys: tb.TempDir()}
	alice, bob, carol := openpgptest.NewPerson(tb, "alice", at), openpgptest.NewPerson(tb, "bob", at), openpgptest.NewPerson(tb, "carol", at)
	put := func(name string, data []byte) { putInto(tb, m.Dir, name, data) }

	two := Digest(1) + "  demo-1.0.tar.gz\n" + Digest(2) + "  demo-1.0.zip\n"
	put("archive/22.0.0/alice/noncodesigned.SHA256SUMS", []byte(two))
	put("archive/22.0.0/alice/noncodesigned.SHA256SUMS.asc", armored(tb, alice.Detached(two, at)))
	crlf := strings.ReplaceAll(two, "\n", "\r\n")
	put("1.0/bob the builder/SHA256SUMS", []byte(crlf))
	put("1.0/bob the builder/SHA256SUMS.sig", bob.Detached(crlf, at))
	put("1.0/carol/SHA256SUMS.asc", carol.Clearsigned(strings.TrimSuffix(two, "\n"), at))
	m.Documents = []string{"1.0/bob the builder/SHA256SUMS", "1.0/carol/SHA256SUMS.asc", "archive/22.0.0/alice/noncodesigned.SHA256SUMS"}
	m.Names = []string{"demo-1.0.tar.gz", "demo-1.0.zip"}
	m.Rows, m.Signatures = Rows{Total: 6, Read: 6}, 3

	spelled := strings.Join([]string{
		"# every spelling of a row", "SHA256 (s-tag.zip) = " + Digest(3), strings.ToUpper(Digest(0xabc4)) + "  s-upper.zip", Digest(5) + "  ./s-dot.zip",
		Digest(6) + " *s-binary.zip", Digest(7) + "\ts-tab.zip", Digest(8) + "  s-crlf.zip\r", `\` + Digest(9) + "  s-escaped.zip",
		Digest(10) + "  s-twice.zip", Digest(11) + "  s-twice.zip", "not a row", Digest(12) + "  ../../etc/passwd", "",
	}, "\n")
	put("spelled/checksums.txt", []byte(spelled))
	put("spelled/checksums.txt.gpg", alice.Detached(spelled, at))
	m.Documents = append(m.Documents, "spelled/checksums.txt")
	for _, name := range []string{"tag", "upper", "dot", "binary", "tab", "crlf", "escaped", "twice"} {
		m.Names = append(m.Names, "s-"+name+".zip")
	}
	m.Rows.Total, m.Rows.Read, m.Rows.Ambiguous, m.Rows.Unread = m.Rows.Total+11, m.Rows.Read+9, 2, 2
	m.Signatures++

	release := Digest(1) + "  demo-1.0.tar.gz\n"
	var signatures bytes.Buffer
	for i := range signers {
		p := openpgptest.NewPerson(tb, fmt.Sprintf("signer%02d", i), at)
		signatures.Write(p.Detached(release, at))
		put(fmt.Sprintf("public-keys/signer%02d.pgp", i), armoredKey(tb, p))
	}
	put("release/1.0/all.SHA256SUMS", []byte(release))
	put("release/1.0/all.SHA256SUMS.asc", armored(tb, signatures.Bytes()))
	m.Documents = append(m.Documents, "release/1.0/all.SHA256SUMS")
	m.Rows.Total, m.Rows.Read, m.Signatures = m.Rows.Total+1, m.Rows.Read+1, m.Signatures+signers

	put("operator-keys/alice.asc", armoredKey(tb, alice))
	put("gpg/bob", bob.Bytes())
	put("gitian-pubkeys/nested/carol.txt", armoredKey(tb, carol))
	putInto(tb, m.Keys, "dora.gpg", openpgptest.NewPerson(tb, "dora", at).Bytes())

	put("README.md", []byte("hello\n"))
	put("notes.txt", []byte("signed, and no rows\n"))
	put("notes.txt.asc", armored(tb, alice.Detached("signed, and no rows\n", at)))
	put("orphan.tar.gz.sig", alice.Detached("x", at))
	put("1.0/demo-build.assert", []byte("name: demo\n"))
	put(".git/objects/x", []byte("x"))
	put("1.0/copied/SHA256SUMS", []byte(two))
	put("1.0/copied/SHA256SUMS.asc", carol.Clearsigned(strings.TrimSuffix(two, "\n"), at.Add(time.Second)))
	m.Documents = append(m.Documents, "1.0/copied/SHA256SUMS.asc")
	m.Rows.Total, m.Rows.Read, m.Signatures = m.Rows.Total+2, m.Rows.Read+2, m.Signatures+1
	m.Others = []string{".git", "1.0/copied/SHA256SUMS", "1.0/demo-build.assert", "README.md", "notes.txt", "orphan.tar.gz.sig"}
	put("1.0/dan/all.SHA256SUMS", []byte(two))
	put("1.0/erin/all.SHA256SUMS.asc", armored(tb, alice.Detached(two, at)))
	m.Bad = []string{"1.0/dan/all.SHA256SUMS", "1.0/erin/all.SHA256SUMS.asc"}
	return m
}

func putInto(tb testing.TB, dir, name string, data []byte) {
	tb.Helper()
	if err := write(filepath.Join(dir, filepath.FromSlash(name)), bytes.NewReader(data)); err != nil {
		tb.Fatal(err)
	}
}

func armored(tb testing.TB, packets []byte) []byte {
	return inArmor(tb, openpgp.SignatureType, packets)
}

func armoredKey(tb testing.TB, p *openpgptest.Person) []byte {
	return inArmor(tb, pgp.PublicKeyType, p.Bytes())
}

func inArmor(tb testing.TB, kind string, packets []byte) []byte {
	tb.Helper()
	var b bytes.Buffer
	w, err := armor.Encode(&b, kind, nil)
	if err == nil {
		_, err = w.Write(packets)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		tb.Fatal(err)
	}
	return append(b.Bytes(), '\n')
}

// MakeGitian makes a directory of Gitian assertions, signed at a time: two releases
// with the same names of files, one descriptor, and two builders.
func MakeGitian(tb testing.TB, at time.Time) *Made {
	tb.Helper()
	m := &Made{Dir: tb.TempDir()}
	for who, folder := range map[string]string{"alice": "gitian-keys/alice.pgp", "bob": "gpg/bob.asc"} {
		p := openpgptest.NewPerson(tb, who, at)
		putInto(tb, m.Dir, folder, armoredKey(tb, p))
		for n, release := range []string{"1.0-linux", "1.1 linux"} {
			text := assertion(release, strings.Repeat(string("ab"[n]), 40), Digest(20+n), Digest(len(who)))
			name := release + "/" + who + "/demo-linux-build.assert"
			putInto(tb, m.Dir, name, []byte(text))
			putInto(tb, m.Dir, name+".sig", p.Detached(text, at))
			m.Rows.Total, m.Rows.Read, m.Signatures = m.Rows.Total+2, m.Rows.Read+2, m.Signatures+1
		}
	}
	m.Documents = []string{"1.0-linux/alice/demo-linux-build.assert", "1.0-linux/bob/demo-linux-build.assert", "1.1 linux/alice/demo-linux-build.assert", "1.1 linux/bob/demo-linux-build.assert"}
	for _, c := range "ab" {
		at := "demo-linux@" + strings.Repeat(string(c), 40)
		m.Names = append(m.Names, at+"/demo.tar.gz", at+"/src/demo.tar.gz")
	}
	empty := "name: demo\nout_manifest: ''\nin_manifest: ''\n"
	putInto(tb, m.Dir, "1.2/alice/demo-linux-build.assert", []byte(empty))
	putInto(tb, m.Dir, "1.2/alice/demo-linux-build.assert.sig", openpgptest.NewPerson(tb, "alice", at).Detached(empty, at))
	m.Bad = []string{"1.2/alice/demo-linux-build.assert"}
	return m
}

func assertion(release, commit, digest, base string) string {
	return "--- !!omap\n- out_manifest: |\n    " + digest + "  demo.tar.gz\n    " + Digest(9) + "  src/demo.tar.gz\n" +
		"- in_manifest: |-\n    " + Digest(8) + "  demo-linux-desc.yml\n    git:" + commit + " demo\n" +
		"- base_manifests: !!omap\n  - bionic-amd64: |\n      " + base + "  adduser_3.116_all.deb\n" +
		"- release: " + release + "\n- name: demo-linux\n- type: source\n"
}
