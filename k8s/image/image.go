package main

import (
	"debug/elf"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"repronet.dev/internal/tarball"
)

// Source says what goes into the image.
type Source struct {
	Aggregator string // path of the binary
	Engine     string // path of libchdb.so
	Name       string // repository and tag, as in "localhost/repronet-aggregator:0.1.0"
}

// Paths in the image; the manifests of this repository name them too.
const (
	aggregatorPath = "usr/bin/repronet-aggregator"
	enginePath     = "usr/lib/repronet/libchdb.so"
)

// user is the "nonroot" id that minimal images commonly use; the StatefulSet says the same.
const user = 65532

// The documents of the OCI image specification 1.1, as far as they are needed here.
type (
	descriptor struct {
		MediaType   string            `json:"mediaType"`
		Digest      string            `json:"digest"`
		Size        int64             `json:"size"`
		Platform    *platform         `json:"platform,omitempty"`
		Annotations map[string]string `json:"annotations,omitempty"`
	}
	platform struct {
		Architecture string `json:"architecture"`
		OS           string `json:"os"`
	}
	manifest struct {
		SchemaVersion int          `json:"schemaVersion"`
		MediaType     string       `json:"mediaType"`
		Config        *descriptor  `json:"config,omitempty"`
		Layers        []descriptor `json:"layers,omitempty"`
		Manifests     []descriptor `json:"manifests,omitempty"`
	}
	imageConfig struct {
		Created string `json:"created"`
		platform
		Config runConfig `json:"config"`
		RootFS rootFS    `json:"rootfs"`
	}
	runConfig struct {
		User         string
		ExposedPorts map[string]struct{}
		Env          []string
		Entrypoint   []string
		Cmd          []string
		WorkingDir   string
		Labels       map[string]string
		StopSignal   string
	}
	rootFS struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	}
)

// Build writes the image to out, which appears only when it is complete, and returns the digest of
// its manifest.
func Build(source Source, out string) (digest string, err error) {
	slash := strings.LastIndex(source.Name, "/")
	_, tag, ok := strings.Cut(source.Name[slash+1:], ":")
	if !ok || tag == "" || tag == "latest" {
		return "", fmt.Errorf("reading the image's name %q: give it a tag that says its version", source.Name)
	}
	machine, err := machineOf(source.Aggregator)
	if err != nil {
		return "", err
	}
	architecture, ok := map[elf.Machine]string{elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64"}[machine]
	if !ok {
		return "", fmt.Errorf("reading %s: the engine is not made for %s", source.Aggregator, machine)
	}
	libraries, err := closure(source.Aggregator, source.Engine)
	if err != nil {
		return "", err
	}

	work, err := os.MkdirTemp(filepath.Dir(out), ".image-")
	if err != nil {
		return "", fmt.Errorf("making room for the layers: %w", err)
	}
	defer func() { _ = os.RemoveAll(work) }()
	blobs := blobs{dir: work}

	engine := []tarball.Entry{{Path: enginePath, Mode: 0o755, From: source.Engine}}
	for _, library := range libraries {
		engine = append(engine, tarball.Entry{Path: strings.TrimPrefix(library, "/"), Mode: 0o755, From: library})
	}
	program := []tarball.Entry{
		{Path: aggregatorPath, Mode: 0o755, From: source.Aggregator},
		{Path: "etc/passwd", Mode: 0o644, Text: fmt.Sprintf("root:x:0:0::/:/\nrepronet:x:%d:%[1]d::/data:/\n", user)},
		{Path: "etc/group", Mode: 0o644, Text: fmt.Sprintf("root:x:0:\nrepronet:x:%d:\n", user)},
		{Path: "etc/repronet/", Mode: 0o755},
		{Path: "data/", Mode: 0o750, Owner: user},
		{Path: "tmp/", Mode: 0o1777},
	}
	config := imageConfig{
		Created:  "1970-01-01T00:00:00Z",
		platform: platform{architecture, "linux"},
		RootFS:   rootFS{Type: "layers"},
		Config: runConfig{
			User:         fmt.Sprintf("%d:%[1]d", user),
			ExposedPorts: map[string]struct{}{"8080/tcp": {}, "4001/tcp": {}, "4001/udp": {}},
			// There is no /etc/localtime for the engine to read.
			Env:        []string{"PATH=/usr/bin", "TZ=UTC"},
			Entrypoint: []string{"/" + aggregatorPath},
			Cmd:        []string{"serve", "--config", "/etc/repronet/aggregator.yaml", "--data", "/data"},
			WorkingDir: "/",
			Labels: map[string]string{
				"org.opencontainers.image.title":       "repronet-aggregator",
				"org.opencontainers.image.description": "Collects, keeps and compares attestations of independent builds",
				"org.opencontainers.image.version":     tag,
				"org.opencontainers.image.licenses":    "Apache-2.0 AND LGPL-2.1-or-later",
			},
			StopSignal: "SIGTERM",
		},
	}
	image := manifest{SchemaVersion: 2, MediaType: "application/vnd.oci.image.manifest.v1+json"}
	for _, entries := range [][]tarball.Entry{engine, program} {
		layer, diffID, err := blobs.layer(entries)
		if err != nil {
			return "", err
		}
		image.Layers = append(image.Layers, layer)
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, diffID)
	}
	configured, err := blobs.json("application/vnd.oci.image.config.v1+json", config)
	if err != nil {
		return "", err
	}
	image.Config = &configured
	described, err := blobs.json(image.MediaType, image)
	if err != nil {
		return "", err
	}
	described.Platform = &config.platform
	described.Annotations = map[string]string{
		"org.opencontainers.image.ref.name": tag,
		"io.containerd.image.name":          source.Name,
	}
	index, err := json.Marshal(manifest{SchemaVersion: 2, MediaType: "application/vnd.oci.image.index.v1+json", Manifests: []descriptor{described}})
	if err != nil {
		return "", fmt.Errorf("writing the index: %w", err)
	}
	entries := append(blobs.entries,
		tarball.Entry{Path: "index.json", Mode: 0o644, Text: string(index)},
		tarball.Entry{Path: "oci-layout", Mode: 0o644, Text: `{"imageLayoutVersion":"1.0.0"}`})

	archive := filepath.Join(work, "archive")
	if err := writeFile(archive, func(f *os.File) error { return tarball.Write(f, time.Unix(0, 0), entries) }); err != nil {
		return "", fmt.Errorf("writing the archive: %w", err)
	}
	if err := os.Rename(archive, out); err != nil {
		return "", fmt.Errorf("writing the archive: %w", err)
	}
	return described.Digest, nil
}
