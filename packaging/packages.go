package main

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// packages has nfpm write a .deb and an .rpm of each program for each Linux platform, as
// packaging/nfpm says.
func (r *release) packages(ctx context.Context) error {
	if err := r.compress(); err != nil {
		return err
	}
	staged := map[string]string{"LICENSE": "LICENSE"}
	for _, unit := range []string{"repronet-aggregator.service", "repronet-watch.service", "repronet-watch.timer"} {
		staged[unit] = "packaging/systemd/" + unit
	}
	if r.hasEngine() {
		staged["libchdb.so"] = r.engine
	}
	for name, from := range staged {
		if err := copyFile(filepath.Join(r.stage, name), from); err != nil {
			return err
		}
	}
	if err := r.sameTime(); err != nil {
		return err
	}
	for _, platform := range r.platforms {
		goos, goarch, _ := strings.Cut(platform, "/")
		if goos != "linux" {
			continue
		}
		for _, program := range programs {
			if err := r.nfpm(ctx, program, goarch); err != nil {
				return err
			}
		}
	}
	if !r.hasEngine() {
		say("no package of the engine, and no image: it is for linux/amd64, and --engine names it")
		return nil
	}
	return r.nfpm(ctx, "repronet-engine", "amd64")
}

func (r *release) hasEngine() bool {
	return r.engine != "" && slices.Contains(r.platforms, "linux/amd64")
}

// image writes the aggregator's container image, which has the engine.
func (r *release) image(ctx context.Context) error {
	if !r.hasEngine() {
		return nil
	}
	version := strings.TrimPrefix(r.version, "v")
	name := "repronet-aggregator-" + version + "-image.tar"
	say("writing %s", name)
	tag := strings.ReplaceAll(version, "+", "-") // a tag has no plus sign
	return run(ctx, nil, "go", "run", "./k8s/image", "-aggregator", r.binary("linux/amd64", "repronet-aggregator"), "-engine", r.engine,
		"-name", "localhost/repronet-aggregator:"+tag, "-o", filepath.Join(r.artifacts, name))
}

func (r *release) nfpm(ctx context.Context, name, goarch string) error {
	for _, format := range []string{"deb", "rpm"} {
		say("packing %s for %s as .%s", name, goarch, format)
		env := []string{
			"VERSION=" + r.version, "ARCH=" + goarch, "STAGE=" + r.stage, "BINARIES=" + filepath.Join(r.stage, "linux", goarch),
			"SOURCE_DATE_EPOCH=" + strconv.FormatInt(r.time.Unix(), 10),
		}
		config := filepath.Join("packaging", "nfpm", name+".yaml")
		if err := run(ctx, env, "go", "tool", "-modfile=tools/go.mod", "nfpm", "package", "--config", config, "--packager", format, "--target", r.artifacts+"/"); err != nil {
			return fmt.Errorf("packing %s: %w", name, err)
		}
	}
	return nil
}

func copyFile(to, from string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// compress compresses the manuals, as packages have them.
func (r *release) compress() error {
	pages, err := filepath.Glob(filepath.Join(r.stage, "*", "man", "*.1"))
	if err != nil {
		return err
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			return err
		}
		f, err := os.Create(page + ".gz")
		if err != nil {
			return err
		}
		z, _ := gzip.NewWriterLevel(f, gzip.BestCompression) // the level exists
		_, err = z.Write(text)
		if err := errors.Join(err, z.Close(), f.Close(), os.Remove(page)); err != nil {
			return err
		}
	}
	return nil
}

// sameTime gives every staged file the release's time, which nfpm takes from the disk.
func (r *release) sameTime() error {
	return filepath.WalkDir(r.stage, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chtimes(path, r.time, r.time) //nolint:gosec // in a directory of this process alone
	})
}
