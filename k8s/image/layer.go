package main

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"repronet.dev/internal/tarball"
)

// blobs keeps the content-addressed parts of an image in files of dir until they are packed.
type blobs struct {
	dir     string
	entries []tarball.Entry
}

// layer packs and compresses entries. The diff id is the digest before compression.
func (b *blobs) layer(entries []tarball.Entry) (d descriptor, diffID string, err error) {
	plain, compressed := sha256.New(), sha256.New()
	file := filepath.Join(b.dir, fmt.Sprintf("blob-%d", len(b.entries)))
	if err := writeFile(file, func(f *os.File) error {
		z := gzip.NewWriter(io.MultiWriter(f, compressed))
		return errors.Join(tarball.Write(io.MultiWriter(z, plain), time.Unix(0, 0), entries), z.Close())
	}); err != nil {
		return descriptor{}, "", fmt.Errorf("writing a layer: %w", err)
	}
	info, err := os.Stat(file)
	if err != nil {
		return descriptor{}, "", fmt.Errorf("writing a layer: %w", err)
	}
	d = descriptor{MediaType: "application/vnd.oci.image.layer.v1.tar+gzip", Digest: fmt.Sprintf("sha256:%x", compressed.Sum(nil)), Size: info.Size()}
	b.entries = append(b.entries, tarball.Entry{Path: blobPath(d.Digest), Mode: 0o644, From: file})
	return d, fmt.Sprintf("sha256:%x", plain.Sum(nil)), nil
}

func (b *blobs) json(mediaType string, value any) (descriptor, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return descriptor{}, fmt.Errorf("writing a %s: %w", mediaType, err)
	}
	d := descriptor{MediaType: mediaType, Digest: fmt.Sprintf("sha256:%x", sha256.Sum256(text)), Size: int64(len(text))}
	b.entries = append(b.entries, tarball.Entry{Path: blobPath(d.Digest), Mode: 0o644, Text: string(text)})
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
