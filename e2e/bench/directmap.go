package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"repronet.dev/attestation"
	"repronet.dev/outputmap"
)

// directMap measures the verifiable map alone, with as many outputs as the goal
// says, each in the entries of five builders.
func (b *bench) directMap(ctx context.Context) (err error) {
	dir := filepath.Join(b.tmp, "map")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	peak := peakMemory()
	begin := time.Now()
	sorter := outputmap.NewSorter(dir)
	defer func() { err = errors.Join(err, sorter.Close()) }()
	size, err := b.sortOutputs(ctx, sorter)
	if err != nil {
		return err
	}
	progress("building the map of %d outputs", b.mapped)
	snapshot, err := outputmap.Build(filepath.Join(dir, "built"), sorter.Pairs(nil), size)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	built := time.Since(begin)
	memory, err := peak()
	if err != nil {
		return err
	}
	disk, err := treeSize(filepath.Join(dir, "built"))
	if err != nil {
		return err
	}
	var took []time.Duration
	bytes := 0
	for i := range b.requests {
		begin := time.Now()
		n, err := proveOutput(snapshot, numbered(i*7919%b.mapped))
		if err != nil {
			return err
		}
		took, bytes = append(took, time.Since(begin)), bytes+n
	}
	b.report.add(fmt.Sprintf("map of %d outputs alone: proof made and checked, p99", b.mapped), milliseconds(p99(took)), atMost(20),
		fmt.Sprintf("median %s; %d bytes", milliseconds(median(took)), bytes/len(took)))
	b.report.add(fmt.Sprintf("map of %d outputs alone: built", b.mapped), seconds(built), noGoal(),
		fmt.Sprintf("peak RSS %s; %.0f B/output on disk", mebibytes(memory), float64(disk)/float64(b.mapped)))
	return nil
}

// sortOutputs adds what five builders say of the outputs, in bundles of 100.
func (b *bench) sortOutputs(ctx context.Context, sorter *outputmap.Sorter) (size uint64, err error) {
	keys := make([]attestation.OutputID, 0, 100)
	for first := 0; first < b.mapped; first += cap(keys) {
		keys = keys[:0]
		for i := first; i < min(first+cap(keys), b.mapped); i++ {
			keys = append(keys, numbered(i))
		}
		for range builders {
			if err := sorter.Add(size, keys...); err != nil {
				return 0, err
			}
			size++
		}
		if first%100_000 == 0 {
			progress("sorting %d of %d outputs", first, b.mapped)
			if ctx.Err() != nil {
				return 0, context.Cause(ctx)
			}
		}
	}
	return size, nil
}

func numbered(n int) attestation.OutputID {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(n)))
	return attestation.OutputID(sum[:len(attestation.OutputID{})])
}

// proveOutput makes a proof, sends it nowhere, and checks it.
func proveOutput(snapshot *outputmap.Snapshot, key attestation.OutputID) (bytes int, err error) {
	proof, err := snapshot.Prove(key)
	if err != nil {
		return 0, err
	}
	text, err := proof.Encode()
	if err != nil {
		return 0, err
	}
	if proof, err = outputmap.ParseProof(text); err != nil {
		return 0, err
	}
	entries, err := proof.Verify(snapshot.Root(), key)
	if err == nil && len(entries) != builders {
		err = fmt.Errorf("the map lists %d entries of %d builders", len(entries), builders)
	}
	return len(text), err
}

// peakMemory returns what tells how much more memory this process had, at most,
// than it has now.
func peakMemory() func() (int64, error) {
	debug.FreeOSMemory()
	const self = "/proc/self/status"
	reset := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // proc(5): resets VmHWM
	before, err := os.ReadFile(self)
	return func() (int64, error) {
		after, afterErr := os.ReadFile(self)
		return field(after, "VmHWM:") - field(before, "VmRSS:"), errors.Join(reset, err, afterErr)
	}
}
