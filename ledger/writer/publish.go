package writer

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/transparency-dev/tessera"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"repronet.dev/ledger"
)

// A signFunc makes the signed checkpoint of a tree, cosigned if there are witnesses.
type signFunc func(ctx context.Context, size uint64, root tlog.Hash) ([]byte, error)

func newSigner(config Config, d disk) (signFunc, error) {
	if len(config.Witnesses) == 0 {
		return func(_ context.Context, size uint64, root tlog.Hash) ([]byte, error) {
			text := config.Key.Name() + "\n" + strconv.FormatUint(size, 10) + "\n" + base64.StdEncoding.EncodeToString(root[:]) + "\n"
			return note.Sign(&note.Note{Text: text}, config.Key)
		}, nil
	}
	options, err := withWitnesses(tessera.NewAppendOptions().WithCheckpointSigner(config.Key), config.Witnesses)
	if err != nil {
		return nil, err
	}
	publisher := options.CheckpointPublisher(published{d}, witnessClient())
	return func(ctx context.Context, size uint64, root tlog.Hash) ([]byte, error) {
		return publisher(ctx, size, root[:])
	}, nil
}

// published is the log as Tessera reads it to make proofs for witnesses.
type published struct{ disk }

func (p published) ReadCheckpoint(context.Context) ([]byte, error) {
	return p.read(checkpointFile, 1<<16)
}

// ReadTile reads a tile; a width of 0 stands for a complete one.
func (p published) ReadTile(_ context.Context, level, index uint64, width uint8) ([]byte, error) {
	hashes, err := p.tile(int(level), index, fullWidth(width))
	return tileData(hashes), err
}

func (p published) ReadEntryBundle(_ context.Context, index uint64, width uint8) ([]byte, error) {
	data, _, err := p.partial(-1, index, fullWidth(width), ledger.MaxBundleSize)
	return data, err
}

func (p published) NextIndex(ctx context.Context) (uint64, error) { return p.IntegratedSize(ctx) }

func (p published) IntegratedSize(context.Context) (uint64, error) {
	state, err := p.readState()
	if err != nil || state == nil {
		return 0, errors.Join(err, errors.New("there is no state"))
	}
	return state.Size, nil
}

func fullWidth(width uint8) int {
	if width == 0 {
		return ledger.BundleWidth
	}
	return int(width)
}

// publish signs and publishes the tree after it has grown, at an interval. With
// witnesses it asks them again now and then.
func (l *Log) publish(ctx context.Context) {
	defer close(l.published)
	collected := uint64(0)
	if c := l.Checkpoint(); c != nil {
		collected = c.Size - min(c.Size, 1<<16) // the rest was cleared away before
	}
	var err error
	for {
		e, grown := l.tree.get()
		last := l.Checkpoint()
		if err == nil && last != nil && last.Size == e.size { // else the rest of the last round is to be done
			select {
			case <-grown:
				continue
			case <-l.republish():
			case <-ctx.Done():
				return
			}
		}
		err = l.publishOne(ctx, e, last)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = l.disk.removePartials(collected, e.size)
		}
		if err == nil {
			collected = e.size
		}
		l.trouble.note(publishing, err)
		select {
		case <-time.After(l.config.CheckpointInterval):
		case <-ctx.Done():
			return
		}
	}
}

// republish returns what fires when witnesses are to be asked again.
func (l *Log) republish() <-chan time.Time {
	if len(l.config.Witnesses) == 0 {
		return nil
	}
	return time.After(republishInterval)
}

// publishOne publishes a tree that follows the last checkpoint.
func (l *Log) publishOne(ctx context.Context, e *edge, last *ledger.Checkpoint) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the signing of a checkpoint panicked: %v", p)
		}
	}()
	if err := l.samePlace(); err != nil {
		return err
	}
	root := e.root()
	if last != nil && (last.Size > e.size || last.Size == e.size && last.Root != root) {
		return fmt.Errorf("a checkpoint of %d entries is published, which this tree of %d does not continue: nothing is signed", last.Size, e.size)
	}
	text, err := l.sign(ctx, e.size, root)
	if err != nil {
		return err
	}
	checkpoint, err := ledger.OpenCheckpoint(text, l.config.Key.Verifier())
	if err != nil {
		return err
	}
	if err := l.disk.write([]file{{checkpointFile, text}}); err != nil {
		return err
	}
	l.checkpoint.set(checkpoint)
	return nil
}
