package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"repronet.dev/api"
	"repronet.dev/evidence/guixsigs"
	"repronet.dev/evidence/guixsigs/guixsigstest"
	"repronet.dev/evidence/openpgp"
)

// project is whose documents are relayed.
const project = "bitcoin-core"

// relay measures how long it takes to hand on a project's whole history of signed
// builds.
func (b *bench) relay(ctx context.Context) error {
	archive := guixsigstest.Archive()
	if _, err := os.Stat(archive); err != nil {
		b.report.missing("relaying the Bitcoin Core data set", fmt.Sprintf("%v: name the directory that has it in REPRONET_DATA", err))
		return nil
	}
	tree := filepath.Join(b.tmp, "guix.sigs")
	if err := os.MkdirAll(tree, 0o750); err != nil {
		return err
	}
	args := []string{"-xzf", archive, "--strip-components=1", "-C", tree, "--wildcards", "*/builder-keys/*"}
	for _, release := range b.releases {
		args = append(args, "*/"+release+"/*")
	}
	if _, err := run(exec.CommandContext(ctx, "tar", args...), 0); err != nil {
		return err
	}
	s, err := b.open(ctx, filepath.Join(b.tmp, "relay"), 0)
	if err != nil {
		return err
	}
	return errors.Join(b.relayTo(ctx, s, tree), s.Stop(), os.RemoveAll(s.dir), os.RemoveAll(tree))
}

func (b *bench) relayTo(ctx context.Context, s *site, tree string) error {
	opened, err := openDocuments(tree)
	if err != nil {
		return err
	}
	if _, err := s.Command(ctx, "builders import-openpgp", "--project", project, tree); err != nil {
		return err
	}
	key, err := s.get(ctx, api.LogKeyPath)
	if err != nil {
		return err
	}
	progress("relaying")
	begin := time.Now()
	r, err := run(exec.CommandContext(ctx, s.Programs.Reporter(), "relay", "guix-sigs", "--project", project, tree, "--json",
		"--dir", filepath.Join(s.dir, "reporter"), "--aggregator", s.URL, "--log-key", strings.TrimSpace(string(key))), 0)
	if err != nil {
		return err
	}
	if err := s.settled(ctx); err != nil {
		return err
	}
	judged := time.Since(begin)
	var relayed struct{ Documents, Accepted, Kept int }
	if err := json.Unmarshal(r.stdout, &relayed); err != nil {
		return err
	}
	if relayed.Documents == 0 || relayed.Accepted+relayed.Kept != relayed.Documents {
		return fmt.Errorf("relay says %s", r.stdout)
	}
	b.report.add(fmt.Sprintf("relaying the Bitcoin Core data set, %d documents", relayed.Documents), seconds(r.took), atMost(60),
		fmt.Sprintf("judged after %s; opening the documents alone: %s", seconds(judged), seconds(opened)))
	return nil
}

// openDocuments checks the signatures and reads the checksums, and does nothing
// else, with all cores.
func openDocuments(dir string) (time.Duration, error) {
	tree, err := guixsigs.Open(dir)
	if err != nil {
		return 0, err
	}
	defer tree.Close()
	var certificates []*openpgp.Certificate
	for key, err := range tree.Keys() {
		if err != nil {
			return 0, err
		}
		certificates = append(certificates, key.Certificates...)
	}
	ring := openpgp.NewKeyring(project, certificates...)
	begin := time.Now()
	var group errgroup.Group
	group.SetLimit(64)
	for document, err := range tree.Documents() {
		if err != nil {
			return 0, errors.Join(err, group.Wait())
		}
		group.Go(func() error {
			_, err := openpgp.OpenDocument(document.Document(project), ring.Lookup, begin)
			return err
		})
	}
	err = group.Wait()
	return time.Since(begin), err
}
