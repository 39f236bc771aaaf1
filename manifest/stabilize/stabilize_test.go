package stabilize_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"repronet.dev/attestation"
	"repronet.dev/internal/needtest"
	"repronet.dev/manifest/stabilize"
)

func of(t testing.TB, name string, content []byte) *stabilize.Stable {
	t.Helper()
	s, err := stabilize.Of(name, bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	if s != nil {
		if err := s.Validate(); err != nil {
			t.Error(err)
		}
		if !stabilize.May(name, content[:min(len(content), stabilize.MagicSize)], int64(len(content))) {
			t.Errorf("%s: %q say something of what none may", name, s.By)
		}
	}
	return s
}

// chunk is one of a PNG image.
func chunk(kind, data string) string {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	b = append(b, kind+data...)
	return string(binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE([]byte(kind+data))))
}

// picture is an image with chunks before its end.
func picture(t *testing.T, chunks ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 2, 2))); err != nil {
		t.Fatal(err)
	}
	end := b.Len() - 12
	return slices.Concat(b.Bytes()[:end], []byte(strings.Join(chunks, "")), b.Bytes()[end:])
}

// module is one with a signature.
func module(code, signature string) []byte {
	info := append(make([]byte, 8), binary.BigEndian.AppendUint32(nil, uint32(len(signature)))...)
	return []byte(code + signature + string(info) + "~Module signature appended~\n")
}

func pyc(flags, time uint32, code string) []byte {
	b := binary.LittleEndian.AppendUint32([]byte("\xcb\r\r\n"), flags)
	return append(binary.LittleEndian.AppendUint32(b, time), "size"+code...)
}

// program is a Windows program, with nothing but headers.
func program(time, sum uint32, code string) []byte {
	b := make([]byte, 256)
	copy(b, "MZ")
	b[60] = 128
	copy(b[128:], "PE\x00\x00")
	binary.LittleEndian.PutUint16(b[128+20:], 240)
	binary.LittleEndian.PutUint32(b[128+8:], time)
	binary.LittleEndian.PutUint32(b[128+24+64:], sum)
	return append(b, code...)
}

// elf is an ELF file of a class and byte order, with one segment: a note with a build id.
func elf(class, data byte, id string) []byte {
	var order interface {
		binary.ByteOrder
		binary.AppendByteOrder
	} = binary.LittleEndian
	if data == 2 {
		order = binary.BigEndian
	}
	b := make([]byte, 128)
	copy(b, "\x7fELF")
	b[4], b[5] = class, data
	note := order.AppendUint32(nil, 4)
	note = order.AppendUint32(note, uint32(len(id)))
	note = append(order.AppendUint32(note, 3), "GNU\x00"+id...)
	if class == 1 {
		order.PutUint32(b[28:], 64)
		order.PutUint16(b[42:], 32)
		order.PutUint16(b[44:], 1)
		order.PutUint32(b[64:], 4)
		order.PutUint32(b[64+4:], 128)
		order.PutUint32(b[64+16:], uint32(len(note)))
	} else {
		order.PutUint64(b[32:], 64)
		order.PutUint16(b[54:], 56)
		order.PutUint16(b[56:], 1)
		order.PutUint32(b[64:], 4)
		order.PutUint64(b[64+8:], 128)
		order.PutUint64(b[64+32:], uint64(len(note)))
	}
	return append(b, note...)
}

// TestVectors: two files, and the stabilizers after which they are equivalent ("" of those
// that never are).
func TestVectors(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]struct {
		file          string
		first, second []byte
		by            string
	}{
		"ELF: for 32 bits":         {"a", elf(1, 1, "one"), elf(1, 1, "two"), "build-id/v1"},
		"ELF: of big ends":         {"a", elf(2, 2, "one"), elf(2, 2, "two"), "build-id/v1"},
		"ELF: for 32, of big ends": {"a", elf(1, 2, "one"), elf(1, 2, "two"), "build-id/v1"},
		"ELF: a note of others":    {"a", elf(2, 1, ""), elf(2, 2, ""), ""},
		"PNG: times":               {"a.png", picture(t, chunk("tIME", "1234567"), chunk("tEXt", "date:create\x002026")), picture(t, chunk("tIME", "7654321")), "png-time/v1"},
		"PNG: a text":              {"a.png", picture(t, chunk("tEXt", "Title\x00one")), picture(t, chunk("tEXt", "Title\x00two")), ""},
		"PNG: a time and a text":   {"a.png", picture(t, chunk("tIME", "1234567"), chunk("tEXt", "Title\x00one")), picture(t, chunk("tIME", "7654321")), ""},
		"PNG: cut off":             {"a.png", picture(t)[:40], picture(t)[:41], ""},
		"pyc: the source's time":   {"a.cpython-313.pyc", pyc(0, 1, "code"), pyc(0, 2, "code"), "pyc-time/v1"},
		"pyc: the source's hash":   {"a.cpython-313.pyc", pyc(1, 1, "code"), pyc(1, 2, "code"), ""},
		"pyc: code":                {"a.cpython-313.pyc", pyc(0, 1, "code"), pyc(0, 1, "edoc"), ""},
		"pyc: of another name":     {"a.bin", pyc(0, 1, "code"), pyc(0, 2, "code"), ""},
		"module: signature":        {"a.ko", module("code", "one"), module("code", "three"), "module-signature/v1"},
		"module: code":             {"a.ko", module("code", "one"), module("edoc", "one"), ""},
		"module: signed, or not":   {"a.ko", module("code", "one"), []byte("code"), "module-signature/v1"},
		"module: a lie":            {"a.ko", module("", "x")[1:], module("", "y")[1:], ""},
		"module: of another name":  {"a.o", module("code", "one"), module("code", "two"), ""},
		"PE: time and checksum":    {"a.exe", program(1, 2, "code"), program(3, 4, "code"), "pe-time/v1"},
		"PE: code":                 {"a.exe", program(1, 2, "code"), program(1, 2, "edoc"), ""},
		"PE: for DOS":              {"a.com", []byte("MZ" + strings.Repeat("a", 200)), []byte("MZ" + strings.Repeat("b", 200)), ""},
		"jar: who and when":        {"MANIFEST.MF", []byte("Manifest-Version: 1.0\r\nBuilt-By: al\r\n ice\r\nMain-Class: A\r\n"), []byte("Manifest-Version: 1.0\r\nbuilt-by: bob\r\nMain-Class: A\r\nBuild-Jdk: 21"), "jar-manifest/v1"},
		"jar: what is run":         {"MANIFEST.MF", []byte("Built-By: alice\nMain-Class: A\n"), []byte("Built-By: alice\nMain-Class: B\n"), ""},
		"jar: of another name":     {"MANIFEST", []byte("Built-By: alice\n"), []byte("Built-By: bob\n"), ""},
		"ELF: that ends too early": {"a", []byte("\x7fELF\x02\x01"), []byte("\x7fELF\x02\x02"), ""},
	} {
		a, b := of(t, v.file, v.first), of(t, v.file, v.second)
		got := ""
		switch {
		case a != nil && b != nil && a.SHA256 == b.SHA256:
			got = strings.Join(stabilize.Together(a.By, b.By), " ")
		case a != nil && b == nil && a.SHA256 == sum(v.second):
			got = strings.Join(a.By, " ")
		}
		if got != v.by {
			t.Errorf("%s: equivalent after %q, want %q", name, got, v.by)
		}
	}
}

func sum(content []byte) attestation.Digest { return sha256.Sum256(content) }

// TestTools: what compilers make.
func TestTools(t *testing.T) {
	t.Parallel()
	needtest.Program(t, "gcc", "gcc")
	dir := t.TempDir()
	for name, text := range map[string]string{"a.c": "int main(void){return 0;}", "b.c": "int main(void){return 1;}", "go.mod": "module m\n", "a.go": "package main\nfunc main(){}\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	made := func(script string) []byte {
		t.Helper()
		command := exec.CommandContext(t.Context(), "sh", "-ec", script)
		command.Dir, command.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GO111MODULE=on")
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", script, err, out)
		}
		content, err := os.ReadFile(filepath.Join(dir, "out"))
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	for name, scripts := range map[string][2]string{
		"of GNU":           {"gcc -Wl,--build-id=0x11111111 -o out a.c", "gcc -Wl,--build-id=0x22222222 -o out a.c"},
		"of GNU, stripped": {"gcc -s -Wl,--build-id=0x11111111 -o out a.c; strip out", "gcc -s -Wl,--build-id=0x22222222 -o out a.c; strip out"},
		"of Go":            {"go build -trimpath -buildvcs=false -ldflags=-buildid=one -o out", "go build -trimpath -buildvcs=false -ldflags=-buildid=two -o out"},
	} {
		a, b := made(scripts[0]), made(scripts[1])
		x, y := of(t, "out", a), of(t, "out", b)
		if bytes.Equal(a, b) || x == nil || y == nil || x.SHA256 != y.SHA256 || !slices.Equal(x.By, []string{"build-id/v1"}) {
			t.Errorf("%s: %+v and %+v", name, x, y)
		}
	}
	a, b := made("gcc -Wl,--build-id=0x11111111 -o out a.c"), made("gcc -Wl,--build-id=0x11111111 -o out b.c")
	if x, y := of(t, "out", a), of(t, "out", b); x.SHA256 == y.SHA256 {
		t.Error("programs that return different things are equivalent")
	}
}

// Many segments of the same notes cost no more than some.
func TestBuildIDsAreBounded(t *testing.T) {
	t.Parallel()
	const headers, entry, length = 900, 56, 60 << 10
	b := make([]byte, 64+headers*entry, 64+headers*entry+length)
	copy(b, "\x7fELF\x02\x01")
	binary.LittleEndian.PutUint64(b[32:], 64)
	binary.LittleEndian.PutUint16(b[54:], entry)
	binary.LittleEndian.PutUint16(b[56:], headers)
	for i := range headers {
		h := b[64+i*entry:]
		binary.LittleEndian.PutUint32(h, 4)
		binary.LittleEndian.PutUint64(h[8:], uint64(len(b)))
		binary.LittleEndian.PutUint64(h[32:], length)
	}
	for range length / 20 {
		b = append(b, "\x04\x00\x00\x00\x04\x00\x00\x00\x03\x00\x00\x00GNU\x00once"...)
	}
	r := &counting{Reader: bytes.NewReader(b)}
	if _, err := stabilize.Of("a", r, int64(len(b))); err != nil || r.n > 6*len(b) {
		t.Errorf("%d bytes are read of %d, %v", r.n, len(b), err)
	}
}

// counting counts the bytes that are read.
type counting struct {
	*bytes.Reader
	n int
}

func (c *counting) ReadAt(p []byte, at int64) (int, error) {
	n, err := c.Reader.ReadAt(p, at)
	c.n += n
	return n, err
}

func TestListing(t *testing.T) {
	t.Parallel()
	type file struct{ name, content string }
	stable := func(files ...file) attestation.Digest {
		l := &stabilize.Listing{}
		for _, f := range files {
			l.Add(f.name, '0', 0o644, "", sum([]byte(f.content)), nil)
		}
		return l.Stable().SHA256
	}
	ordinary := stable(file{"a", "1"}, file{"b", "2"})
	for name, c := range map[string]struct {
		got  attestation.Digest
		same bool
	}{
		"order":               {stable(file{"b", "2"}, file{"a", "1"}), true},
		"a signature":         {stable(file{"b", "2"}, file{"META-INF/x.RSA", "x"}, file{"META-INF/X.sf", "x"}, file{"a", "1"}), true},
		"no signature":        {stable(file{"b", "2"}, file{"META-INF/sub/x.RSA", "x"}, file{"a", "1"}), false},
		"contents":            {stable(file{"a", "2"}, file{"b", "2"}), false},
		"a name":              {stable(file{"a", "1"}, file{"c", "2"}), false},
		"one more":            {stable(file{"a", "1"}, file{"b", "2"}, file{"c", ""}), false},
		"one name, in order":  {stable(file{"a", "1"}, file{"a", "2"}), false},
		"names with line end": {stable(file{"a\n", "1"}, file{"b", "2"}), false},
	} {
		if (c.got == ordinary) != c.same {
			t.Errorf("%s: the same is %t", name, !c.same)
		}
	}
	if stable(file{"a", "1"}, file{"a", "2"}) == stable(file{"a", "2"}, file{"a", "1"}) {
		t.Error("of a name that is there twice, the last one counts")
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	some := sum(nil)
	for name, s := range map[string]stabilize.Stable{
		"no digest":      {By: []string{"a/v1"}},
		"by nobody":      {SHA256: some},
		"no version":     {some, []string{"a"}},
		"a strange name": {some, []string{"\x1b[2J/v1"}},
		"out of order":   {some, []string{"b/v1", "a/v1"}},
		"twice":          {some, []string{"a/v1", "a/v1"}},
		"too many":       {some, strings.Split(strings.Repeat("a/v1 ", 17), " ")},
	} {
		if s.Validate() == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if err := (&stabilize.Stable{SHA256: some, By: []string{"a/v1", "of-the-future/v9"}}).Validate(); err != nil {
		t.Error(err)
	}
}

// FuzzOf: whatever a file is, what does not count is a part of it.
func FuzzOf(f *testing.F) {
	f.Add("a.pyc", pyc(0, 1, "code"))
	f.Add("a.ko", module("code", "one"))
	f.Add("a.exe", program(1, 2, ""))
	f.Add("MANIFEST.MF", []byte("Built-By: al\n ice\n"))
	f.Add("a.png", []byte("\x89PNG\r\n\x1a\n"+chunk("tIME", "1234567")))
	f.Add("a", []byte("\x7fELF\x02\x01\x01"+strings.Repeat("\x00", 100)))
	f.Fuzz(func(t *testing.T, name string, content []byte) {
		s := of(t, name, content)
		if s != nil && s.SHA256 == sum(content) {
			t.Errorf("%q cut nothing", s.By)
		}
	})
}
