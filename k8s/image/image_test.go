package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"repronet.dev/internal/needtest"
)

// inputs builds a dynamic program and a library that it loads.
func inputs(t *testing.T) Source {
	t.Helper()
	dir := t.TempDir()
	source := Source{Aggregator: filepath.Join(dir, "program"), Engine: filepath.Join(dir, "engine.so"), Name: "localhost/repronet-aggregator:0.1.0"}
	run(t, "go", "build", "-trimpath", "-o", source.Aggregator, "./testdata/program")
	run(t, "cc", "-shared", "-fPIC", "-fno-builtin", "-o", source.Engine, "testdata/engine.c", "-lm")
	return source
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("running %s %q: %v\n%s", name, args, err, out)
	}
}

func build(t *testing.T, source Source) (digest string, archive []byte) {
	t.Helper()
	dir := t.TempDir()
	out := filepath.Join(dir, "image.tar")
	digest, err := Build(source, out)
	if err != nil {
		t.Fatal(err)
	}
	archive, err = os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("files left beside the image: %v, %v", left, err)
	}
	return digest, archive
}

func TestReproducible(t *testing.T) {
	source := inputs(t)
	digest, archive := build(t, source)

	again := t.TempDir()
	moved := Source{Aggregator: filepath.Join(again, "a"), Engine: filepath.Join(again, "b"), Name: source.Name}
	for from, to := range map[string]string{source.Aggregator: moved.Aggregator, source.Engine: moved.Engine} {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	defer syscall.Umask(syscall.Umask(0o077))
	movedDigest, movedArchive := build(t, moved)
	if digest != movedDigest || !bytes.Equal(archive, movedArchive) {
		t.Errorf("the same files in another place give another image: %s and %s", digest, movedDigest)
	}

	f, err := os.OpenFile(moved.Engine, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if other, _ := build(t, moved); other == digest {
		t.Error("another engine gives the same image")
	}
}

// files reads a tar file, checking that no header says when or by whom it was written.
func files(t *testing.T, r io.Reader) (headers []*tar.Header, content map[string][]byte) {
	t.Helper()
	content = map[string][]byte{}
	for archive := tar.NewReader(r); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.ModTime.Unix() != 0 || header.Uname != "" || header.Gname != "" {
			t.Errorf("%s: its header has a time or a user's name: %v", header.Name, header)
		}
		if content[header.Name], err = io.ReadAll(archive); err != nil {
			t.Fatal(err)
		}
		headers = append(headers, header)
	}
	if !slices.IsSortedFunc(headers, func(a, b *tar.Header) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("the entries are not sorted")
	}
	return headers, content
}

// open follows an archive from its index to its layers, checking every digest and size on the way.
func open(t *testing.T, archive []byte) (index manifest, config imageConfig, layers [][]byte) {
	t.Helper()
	_, content := files(t, bytes.NewReader(archive))
	blob := func(d descriptor) []byte {
		text, ok := content[blobPath(d.Digest)]
		if !ok || fmt.Sprintf("sha256:%x", sha256.Sum256(text)) != d.Digest || int64(len(text)) != d.Size {
			t.Fatalf("blob %s is missing or not what its descriptor says", d.Digest)
		}
		return text
	}
	decode := func(text []byte, into any) {
		if err := json.Unmarshal(text, into); err != nil {
			t.Fatal(err)
		}
	}
	if got := string(content["oci-layout"]); got != `{"imageLayoutVersion":"1.0.0"}` {
		t.Errorf("oci-layout is %s", got)
	}
	var image manifest
	decode(content["index.json"], &index)
	decode(blob(index.Manifests[0]), &image)
	decode(blob(*image.Config), &config)
	for i, d := range image.Layers {
		z, err := gzip.NewReader(bytes.NewReader(blob(d)))
		if err != nil {
			t.Fatal(err)
		}
		layer, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("sha256:%x", sha256.Sum256(layer)); got != config.RootFS.DiffIDs[i] {
			t.Errorf("layer %d is %s, the configuration says %s", i, got, config.RootFS.DiffIDs[i])
		}
		layers = append(layers, layer)
	}
	return index, config, layers
}

func TestContent(t *testing.T) {
	digest, archive := build(t, inputs(t))
	index, config, layers := open(t, archive)
	if index.Manifests[0].Digest != digest {
		t.Errorf("Build returned %s, the index names %s", digest, index.Manifests[0].Digest)
	}
	if name := index.Manifests[0].Annotations["io.containerd.image.name"]; name != "localhost/repronet-aggregator:0.1.0" {
		t.Errorf("the image's name is %s", name)
	}
	if config.OS != "linux" || config.Config.User != "65532:65532" {
		t.Errorf("the image runs on %s as %s", config.OS, config.Config.User)
	}
	var got []string
	headers, _ := files(t, bytes.NewReader(layers[1]))
	for _, h := range headers {
		got = append(got, fmt.Sprintf("%04o %d:%d %s", h.Mode, h.Uid, h.Gid, h.Name))
	}
	want := []string{
		"0750 65532:65532 data/",
		"0755 0:0 etc/",
		"0644 0:0 etc/group",
		"0644 0:0 etc/passwd",
		"0755 0:0 etc/repronet/",
		"1777 0:0 tmp/",
		"0755 0:0 usr/",
		"0755 0:0 usr/bin/",
		"0755 0:0 usr/bin/repronet-aggregator",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("second layer (-want +got):\n%s", diff)
	}
	var libraries []string
	headers, _ = files(t, bytes.NewReader(layers[0]))
	for _, h := range headers {
		if h.Typeflag == tar.TypeReg {
			libraries = append(libraries, filepath.Base(h.Name))
		}
	}
	for _, library := range []string{"libc.so.6", "libchdb.so", "libm.so.6"} {
		if !slices.Contains(libraries, library) {
			t.Errorf("the first layer has %v, but not %s", libraries, library)
		}
	}
}

// What only a needed library needs is in the image too.
func TestIndirectLibraries(t *testing.T) {
	engine := filepath.Join(t.TempDir(), "engine.so")
	run(t, "cc", "-shared", "-fPIC", "-fno-builtin", "-nostdlib", "-o", engine, "testdata/engine.c", "-lm")
	machine, err := machineOf(engine)
	if err != nil {
		t.Fatal(err)
	}
	if _, direct, err := dependencies(engine, machine); err != nil || !slices.Equal(direct, []string{"libm.so.6"}) {
		t.Fatalf("the engine needs %v, %v; the test wants it to need libm.so.6 alone", direct, err)
	}
	all, err := closure(engine, engine)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(all, func(path string) bool { return filepath.Base(path) == "libc.so.6" }) {
		t.Errorf("%v lacks libc.so.6, which libm.so.6 needs", all)
	}
}

// The image's own program starts in it, with nothing of this machine in reach, as the image's user.
func TestRuns(t *testing.T) {
	needtest.Root(t, "change the root directory")
	_, archive := build(t, inputs(t))
	_, config, layers := open(t, archive)
	root := t.TempDir()
	for _, layer := range layers {
		unpack(t, layer, root)
	}
	cmd := exec.CommandContext(t.Context(), config.Config.Entrypoint[0], config.Config.Cmd...)
	cmd.Env, cmd.Dir = config.Config.Env, config.Config.WorkingDir
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: user, Gid: user}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("running the image: %v\n%s", err, out)
	}
	want := `args: serve --config /etc/repronet/aggregator.yaml --data /data
user: 65532 65532
engine: 49
writes /data/ledger: true
writes /tmp/scratch: true
writes /etc/passwd: false
`
	if diff := cmp.Diff(want, string(out)); diff != "" {
		t.Errorf("what the program saw (-want +got):\n%s", diff)
	}
}

func unpack(t *testing.T, layer []byte, root string) {
	t.Helper()
	headers, content := files(t, bytes.NewReader(layer))
	for _, h := range headers {
		path := filepath.Join(root, h.Name)
		var err error
		if h.Typeflag == tar.TypeDir {
			err = os.MkdirAll(path, 0o700)
		} else {
			err = os.WriteFile(path, content[h.Name], 0o600)
		}
		// The mode of a tar header is not that of package os: 01777 has the sticky bit.
		if err := errors.Join(err, os.Chown(path, h.Uid, h.Gid), syscall.Chmod(path, uint32(h.Mode))); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRefused(t *testing.T) {
	sound := inputs(t)
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(dir, "foreign.so")
	library, err := os.ReadFile(sound.Engine)
	if err != nil {
		t.Fatal(err)
	}
	binary.LittleEndian.PutUint16(library[18:], uint16(elf.EM_RISCV)) // e_machine
	if err := os.WriteFile(foreign, library, 0o700); err != nil {
		t.Fatal(err)
	}
	lacking := filepath.Join(dir, "lacking.so")
	run(t, "cc", "-shared", "-o", filepath.Join(dir, "libnowhere.so"), "testdata/engine.c")
	run(t, "cc", "-shared", "-Wl,--no-as-needed", "-o", lacking, "testdata/engine.c", "-L"+dir, "-lnowhere")

	for _, test := range []struct {
		name   string
		change func(*Source)
		want   string
	}{
		{"no tag", func(s *Source) { s.Name = "localhost:5000/aggregator" }, "give it a tag"},
		{"latest", func(s *Source) { s.Name = "localhost/a:latest" }, "give it a tag"},
		{"no program", func(s *Source) { s.Aggregator += ".gone" }, "no such file"},
		{"a script", func(s *Source) { s.Aggregator = text }, "must be an ELF file"},
		{"engine of another machine", func(s *Source) { s.Engine = foreign }, "it is for EM_RISCV, the program for"},
		{"program of another machine", func(s *Source) { s.Aggregator = foreign }, "the engine is not made for EM_RISCV"},
		{"library not installed", func(s *Source) { s.Engine = lacking }, "looking for libnowhere.so"},
	} {
		t.Run(test.name, func(t *testing.T) {
			source := sound
			test.change(&source)
			out := filepath.Join(t.TempDir(), "image.tar")
			if _, err := Build(source, out); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
			if _, err := os.Stat(out); err == nil {
				t.Error("there is an image all the same")
			}
		})
	}
}

// The image and the manifests name each other's paths, user, arguments and version.
func TestFitsManifests(t *testing.T) {
	_, archive := build(t, inputs(t))
	_, config, _ := open(t, archive)
	for _, test := range []struct{ file, want string }{
		{"../overlays/embedded/aggregator.yaml", "engine: /" + enginePath + "\n"},
		{"../overlays/followers/follower/aggregator.yaml", "engine: /" + enginePath + "\n"},
		{"../overlays/followers/follower/kustomization.yaml", "newName: localhost/repronet-aggregator\n    newTag: 0.1.0\n"},
		{"../overlays/embedded/kustomization.yaml", "newName: localhost/repronet-aggregator\n    newTag: 0.1.0\n"},
		{"../base/server/statefulset.yaml", "args: [" + strings.Join(config.Config.Cmd, ", ") + "]\n"},
		{"../base/server/statefulset.yaml", fmt.Sprintf("runAsUser: %d\n        runAsGroup: %[1]d\n", user)},
	} {
		text, err := os.ReadFile(test.file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), test.want) {
			t.Errorf("%s does not say %q", test.file, test.want)
		}
	}
}
