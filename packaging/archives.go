package main

import (
	"compress/gzip"
	"context"
	"errors"
	"os"
	"path"
	"path/filepath"
	"strings"

	"repronet.dev/internal/tarball"
)

// tarballs writes the programs of each platform with their texts as one .tar.gz.
func (r *release) tarballs(context.Context) error {
	for _, platform := range r.platforms {
		name := "repronet-" + strings.TrimPrefix(r.version, "v") + "-" + strings.ReplaceAll(platform, "/", "-")
		say("writing %s.tar.gz", name)
		entries := []tarball.Entry{
			{Path: name + "/LICENSE", Mode: 0o644, From: "LICENSE"},
			{Path: name + "/README.md", Mode: 0o644, From: "README.md"},
			{Path: name + "/CHANGELOG.md", Mode: 0o644, From: "CHANGELOG.md"},
		}
		for _, program := range programs {
			entries = append(entries,
				tarball.Entry{Path: path.Join(name, "bin", program), Mode: 0o755, From: r.binary(platform, program)},
				tarball.Entry{Path: path.Join(name, "share/bash-completion/completions", program), Mode: 0o644, From: filepath.Join(r.stage, program, "completion")})
			pages, err := filepath.Glob(filepath.Join(r.stage, program, "man", "*.1"))
			if err != nil {
				return err
			}
			for _, page := range pages {
				entries = append(entries, tarball.Entry{Path: path.Join(name, "share/man/man1", filepath.Base(page)), Mode: 0o644, From: page})
			}
		}
		if err := r.archive(name+".tar.gz", entries); err != nil {
			return err
		}
	}
	return nil
}

func (r *release) archive(name string, entries []tarball.Entry) error {
	f, err := os.Create(filepath.Join(r.artifacts, name))
	if err != nil {
		return err
	}
	z := gzip.NewWriter(f)
	return errors.Join(tarball.Write(z, r.time, entries), z.Close(), f.Close())
}
