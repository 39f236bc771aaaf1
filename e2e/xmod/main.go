// Xmod checks a receipt of a ledger with nothing of this project: only Go's own
// packages for signed notes and transparent logs, which the checksum database of
// Go modules uses.
//
//	xmod VERIFIER-KEY RECEIPT.json
//
// It exits with 0 if the key signed the checkpoint and the checkpoint's tree has
// the entry at the index, else with 1.
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
	receipt, err := os.ReadFile(os.Args[2])
	if err == nil {
		err = check(os.Args[1], receipt)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "xmod:", err)
		os.Exit(1)
	}
	fmt.Println("the entry is in the tree that the log signed")
}

func check(key string, text []byte) error {
	var receipt struct {
		Index      int64
		Entry      []byte
		Proof      tlog.RecordProof
		Checkpoint string
	}
	if err := json.Unmarshal(text, &receipt); err != nil {
		return err
	}
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return err
	}
	signed, err := note.Open([]byte(receipt.Checkpoint), note.VerifierList(verifier))
	if err != nil {
		return err
	}
	lines := strings.Split(signed.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		return errors.New("the note is no checkpoint of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return err
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return err
	}
	return tlog.CheckRecord(receipt.Proof, size, root, receipt.Index, tlog.RecordHash(receipt.Entry))
}
