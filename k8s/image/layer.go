package main

import (
	"archive/tar"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// An entry of a tar file: a file copied from another, a file with the given text, or, when its path
// ends in a slash, a directory.
type entry struct {
	path  string // no leading slash
	mode  int64
	owner int // user and group
	from  string
	text  string
}

// writeTar writes the entries sorted, with the directories that lead to them, and nothing in the
// headers that depends on the time, place or user of writing.
func writeTar(w io.Writer, entries []entry) error {
	all := map[string]entry{}
	for _, e := range entries {
		for dir := path.Dir(strings.TrimSuffix(e.path, "/")); dir != "."; dir = path.Dir(dir) {
			if _, ok := all[dir+"/"]; !ok {
				all[dir+"/"] = entry{path: dir + "/", mode: 0o755}
			}
		}
		all[e.path] = e
	}
	sorted := make([]entry, 0, len(all))
	for _, e := range all {
		sorted = append(sorted, e)
	}
	slices.SortFunc(sorted, func(a, b entry) int { return cmp.Compare(a.path, b.path) })

	t := tar.NewWriter(w)
	for _, e := range sorted {
		if err := e.write(t); err != nil {
			return fmt.Errorf("packing %s: %w", e.path, err)
		}
	}
	return t.Close()
}

func (e entry) write(t *tar.Writer) error {
	header := &tar.Header{Typeflag: tar.TypeReg, Name: e.path, Mode: e.mode, Uid: e.owner, Gid: e.owner, ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
	var content io.Reader
	switch {
	case strings.HasSuffix(e.path, "/"):
		header.Typeflag = tar.TypeDir
		return t.WriteHeader(header)
	case e.from != "":
		f, err := os.Open(e.from)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		header.Size, content = info.Size(), f
	default:
		header.Size, content = int64(len(e.text)), strings.NewReader(e.text)
	}
	if err := t.WriteHeader(header); err != nil {
		return err
	}
	_, err := io.Copy(t, content)
	return err
}

// blobs keeps the content-addressed parts of an image in files of dir until they are packed.
type blobs struct {
	dir     string
	entries []entry
}

// layer packs and compresses entries. The diff id is the digest before compression.
func (b *blobs) layer(entries []entry) (d descriptor, diffID string, err error) {
	plain, compressed := sha256.New(), sha256.New()
	file := filepath.Join(b.dir, fmt.Sprintf("blob-%d", len(b.entries)))
	if err := writeFile(file, func(f *os.File) error {
		z := gzip.NewWriter(io.MultiWriter(f, compressed))
		return errors.Join(writeTar(io.MultiWriter(z, plain), entries), z.Close())
	}); err != nil {
		return descriptor{}, "", fmt.Errorf("writing a layer: %w", err)
	}
	info, err := os.Stat(file)
	if err != nil {
		return descriptor{}, "", fmt.Errorf("writing a layer: %w", err)
	}
	d = descriptor{MediaType: "application/vnd.oci.image.layer.v1.tar+gzip", Digest: fmt.Sprintf("sha256:%x", compressed.Sum(nil)), Size: info.Size()}
	b.entries = append(b.entries, entry{path: blobPath(d.Digest), mode: 0o644, from: file})
	return d, fmt.Sprintf("sha256:%x", plain.Sum(nil)), nil
}

func (b *blobs) json(mediaType string, value any) (descriptor, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return descriptor{}, fmt.Errorf("writing a %s: %w", mediaType, err)
	}
	d := descriptor{MediaType: mediaType, Digest: fmt.Sprintf("sha256:%x", sha256.Sum256(text)), Size: int64(len(text))}
	b.entries = append(b.entries, entry{path: blobPath(d.Digest), mode: 0o644, text: string(text)})
	return d, nil
}

func blobPath(digest string) string {
	return "blobs/" + strings.Replace(digest, ":", "/", 1)
}

func writeFile(name string, write func(*os.File) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
