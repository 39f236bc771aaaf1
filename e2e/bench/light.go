package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"repronet.dev/api"
	"repronet.dev/attestation"
	"repronet.dev/outputmap"
	"repronet.dev/reading"
)

// light measures the proof by the verifiable map that the aggregator shows all
// entries about one output, and the command that uses it.
func (b *bench) light(ctx context.Context) (err error) {
	s := b.filled
	// The map is built every hour, by default.
	config := filepath.Join(b.tmp, "often.yaml")
	if err := os.WriteFile(config, []byte("map_interval: 2s\n"), 0o600); err != nil {
		return err
	}
	progress("building the map")
	if err := s.Stop(); err != nil {
		return err
	}
	if err := s.start(ctx, b.programs, "--config", config); err != nil {
		return err
	}
	client := &http.Client{Timeout: time.Minute}
	defer client.CloseIdleConnections()
	proof := func(i int) string {
		return s.URL + api.MapProofPath + "?" + url.Values{"ecosystem": {"nix"}, "name": {b.output(i)}}.Encode()
	}
	sum, err := s.summary(ctx)
	if err != nil {
		return err
	}
	log, err := s.logKey(ctx)
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := poll(ctx, 200*time.Millisecond, func() (bool, error) {
		text, err := fetch(ctx, client, proof(0))
		if errors.Is(err, errStatus) {
			return false, nil // no map yet
		}
		if err != nil {
			return false, err
		}
		root, err := checkProof(text, log, attestation.NewOutputID("nix", b.output(0)))
		return root.Size >= sum.LedgerSize, err
	}); err != nil {
		return err
	}
	b.report.add(fmt.Sprintf("map of %d outputs, built after a start", sum.Outputs), seconds(time.Since(begin)), noGoal(), "every 2 s for this; every hour by default")
	var asked, checked []time.Duration
	for i := range b.requests {
		begin := time.Now()
		text, err := fetch(ctx, client, proof(i))
		if err != nil {
			return err
		}
		asked = append(asked, time.Since(begin))
		if _, err := checkProof(text, log, attestation.NewOutputID("nix", b.output(i))); err != nil {
			return err
		}
		checked = append(checked, time.Since(begin))
	}
	least, err := b.ask(ctx, client, func(int) string { return "/healthz/live" })
	if err != nil {
		return err
	}
	b.report.add(fmt.Sprintf("map proof of one of %d outputs, asked and checked, p99", sum.Outputs), milliseconds(p99(checked)), atMost(20),
		fmt.Sprintf("median %s; without the check: p99 %s; /healthz: p99 %s", milliseconds(median(checked)), milliseconds(p99(asked)), milliseconds(p99(least))))
	return b.lightCommand(ctx)
}

// output is one of the stored outputs that the builders agree on.
func (b *bench) output(i int) string {
	n := uint64(i) * 7919 % (b.whole() - 3)
	for diverges(n) {
		n++
	}
	return outputPath(n)
}

// checkProof checks the map's proof for an output, as package verify does.
func checkProof(text []byte, log note.Verifier, id attestation.OutputID) (outputmap.Root, error) {
	var answer api.MapProof
	if err := json.Unmarshal(text, &answer); err != nil {
		return outputmap.Root{}, err
	}
	entry, err := answer.Receipt.Verify(log)
	if err != nil {
		return outputmap.Root{}, err
	}
	root, err := reading.ParseMapRoot(answer.Receipt.Index, entry.Body)
	if err != nil {
		return root, err
	}
	for key, text := range map[attestation.OutputID][]byte{id: answer.Output, outputmap.RosterKey(): answer.Roster} {
		proof, err := outputmap.ParseProof(text)
		if err != nil {
			return root, err
		}
		entries, err := proof.Verify(root, key)
		if err != nil {
			return root, err
		}
		if len(entries) < builders {
			return root, fmt.Errorf("the map lists %d entries of %d builders", len(entries), builders)
		}
	}
	return root, nil
}

// lightCommand measures the command, which tells a bucket or the output.
func (b *bench) lightCommand(ctx context.Context) error {
	c, err := newChecker(ctx, b.programs, filepath.Join(b.tmp, "light"), b.filled.URL)
	if err != nil {
		return err
	}
	for _, flags := range [][]string{{"--light"}, {"--light", "--tell"}} {
		name := "output " + strings.Join(flags, " ")
		var took []time.Duration
		for i := range 20 {
			r, err := c.run(ctx, "output", append([]string{b.output(i), "--quorum", fmt.Sprint(builders), "--mirror", c.path("state")}, flags...)...)
			if err != nil {
				return err
			}
			if r.status != 0 {
				return fmt.Errorf("%s says %s", name, r.stdout)
			}
			took = append(took, r.took)
		}
		b.report.add(name+", the whole command, median", milliseconds(median(took)), noGoal(), "")
	}
	return nil
}
