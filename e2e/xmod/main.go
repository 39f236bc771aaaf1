// Command xmod checks a receipt of a ledger with nothing of this project: only Go's own
// packages for signed notes and transparent logs, which the checksum database of
// Go modules uses.
//
//	xmod VERIFIER-KEY RECEIPT.json
//	xmod VERIFIER-KEY CONVICTION.json
//
// It exits with 0 if the key signed the checkpoint and the checkpoint's tree has
// the entry at the index, else with 1. The second form checks what a monitor
// keeps of a log that showed two histories, and exits with 0 if the key signed
// both.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: xmod VERIFIER-KEY RECEIPT.json")
		os.Exit(1)
	}
	text, err := os.ReadFile(os.Args[2])
	if err == nil {
		err = run(os.Args[1], text)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "xmod:", err)
		os.Exit(1)
	}
}

func run(key string, text []byte) error {
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return err
	}
	var c conviction
	if err := json.Unmarshal(text, &c); err != nil {
		return err
	}
	said := "the entry is in the tree that the log signed"
	switch {
	case c.Fork != nil:
		said, err = "the log signed two histories", checkFork(verifier, c.Fork)
	case c.Entries != nil:
		said, err = "the log signed two entries for one place", checkEntries(verifier, c.Entries)
	default:
		err = check(verifier, text)
	}
	if err == nil {
		fmt.Println(said)
	}
	return err
}

type conviction struct {
	Fork    *fork
	Entries []inclusion
}

type fork struct {
	Old, New string
	Root     tlog.Hash
	Proof    tlog.TreeProof
}

type inclusion struct {
	Index      int64
	Leaf       tlog.Hash
	Proof      tlog.RecordProof
	Checkpoint string
}

func checkFork(verifier note.Verifier, f *fork) error {
	before, err := open(verifier, f.Old)
	if err != nil {
		return err
	}
	after, err := open(verifier, f.New)
	if err != nil {
		return err
	}
	if before.N == after.N && before.Hash != after.Hash {
		return nil
	}
	if err := tlog.CheckTree(f.Proof, after.N, after.Hash, before.N, f.Root); err != nil {
		return err
	}
	if f.Root == before.Hash {
		return errors.New("the new tree continues the old one")
	}
	return nil
}

func checkEntries(verifier note.Verifier, entries []inclusion) error {
	for _, e := range entries {
		tree, err := open(verifier, e.Checkpoint)
		if err != nil {
			return err
		}
		if err := tlog.CheckRecord(e.Proof, tree.N, tree.Hash, e.Index, e.Leaf); err != nil {
			return err
		}
	}
	if len(entries) != 2 || entries[0].Index != entries[1].Index || entries[0].Leaf == entries[1].Leaf {
		return errors.New("these are not two entries for one place")
	}
	return nil
}

func check(verifier note.Verifier, text []byte) error {
	var receipt struct {
		Index      int64
		Entry      []byte
		Proof      tlog.RecordProof
		Checkpoint string
	}
	if err := json.Unmarshal(text, &receipt); err != nil {
		return err
	}
	tree, err := open(verifier, receipt.Checkpoint)
	if err != nil {
		return err
	}
	return tlog.CheckRecord(receipt.Proof, tree.N, tree.Hash, receipt.Index, tlog.RecordHash(receipt.Entry))
}

// open reads a checkpoint that the key signed.
func open(verifier note.Verifier, checkpoint string) (tree tlog.Tree, err error) {
	signed, err := note.Open([]byte(checkpoint), note.VerifierList(verifier))
	if err != nil {
		return tree, err
	}
	lines := strings.Split(signed.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		return tree, errors.New("the note is no checkpoint of this log")
	}
	if tree.N, err = strconv.ParseInt(lines[1], 10, 64); err != nil {
		return tree, err
	}
	tree.Hash, err = tlog.ParseHash(lines[2])
	return tree, err
}
