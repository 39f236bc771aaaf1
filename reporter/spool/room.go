package spool

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"repronet.dev/internal/durable"
)

// The reserve is a file that is given up when the file system is full: what is in the
// spool leaves it only by writing something first, a statement of the records, a receipt
// and the state.
const (
	reserveFile = "reserve"
	reserveSize = 1 << 20 // bytes: a statement, and the files that settle it
)

// keepReserve makes the reserve, unless it is there or there is no room for it.
func (w *Writer) keepReserve() {
	path := filepath.Join(w.dir, reserveFile)
	if _, err := os.Lstat(path); err == nil {
		return
	}
	noise := make([]byte, reserveSize) // some file systems store zeros in no room at all
	rand.Read(noise)
	_ = durable.WriteFile(path, noise, 0o600) // the spool works without
}

// withRoom does what writes to the spool. On a full file system it gives up what the
// spool can do without, and does it once more. What do did before it failed must do no
// harm the second time.
func (w *Writer) withRoom(do func() error) error { return w.withRoomBut(nil, do) }

// withRoomBut is [Writer.withRoom] that does not give up some of the copies.
func (w *Writer) withRoomBut(needed []Copy, do func() error) error {
	err := do()
	if err == nil {
		w.keepReserve()
		return nil
	}
	if !full(err) {
		return err
	}
	made, copies := w.makeRoom(needed)
	if !made {
		return err
	}
	if again := do(); again != nil {
		return again
	}
	gone := "the reserve"
	if copies > 0 {
		gone = fmt.Sprintf("%d older copies of what was delivered", copies)
	}
	w.Report("spool", "the file system is full: "+gone+" had to be deleted to go on ("+err.Error()+")")
	w.keepReserve()
	return nil
}

func full(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// makeRoom deletes the reserve, messages of old, and the older half of the copies that are
// not needed. It reports whether there was any of it, and how many copies there were.
func (w *Writer) makeRoom(needed []Copy) (made bool, copies int) {
	for _, name := range []string{reserveFile, problemsFile + ".old"} {
		made = os.Remove(filepath.Join(w.dir, name)) == nil || made
	}
	names, err := w.list(sentDir)
	if err != nil {
		return made, 0
	}
	isNeeded := map[string]bool{}
	for _, c := range needed {
		isNeeded[c.file] = true
	}
	for _, name := range names[:(len(names)+1)/2] {
		if !isNeeded[name] && os.Remove(filepath.Join(w.dir, sentDir, name)) == nil {
			copies++
		}
	}
	return made || copies > 0, copies
}
