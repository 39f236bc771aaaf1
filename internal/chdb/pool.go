package chdb

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// scope is what a request asks a session to be set to before its statement runs.
type scope struct {
	database string
	settings string // a SET statement, or empty
}

// acquire waits for a place in the pool and returns a session set to the scope.
// The session has to be given back by release.
func (e *Engine) acquire(ctx context.Context, want scope) (*session, error) {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil, ErrClosed
	}
	e.work.Add(1)
	e.mu.Unlock()

	select {
	case e.tokens <- struct{}{}:
	case <-ctx.Done():
		e.work.Done()
		return nil, ctx.Err()
	case <-e.closing:
		e.work.Done()
		return nil, ErrClosed
	}
	s, err := e.session(want)
	if err != nil {
		<-e.tokens
		e.work.Done()
		return nil, err
	}
	return s, nil
}

// session takes an idle session of the scope or makes one.
func (e *Engine) session(want scope) (*session, error) {
	e.mu.Lock()
	var found, oldest *session
	for i, s := range slices.Backward(e.idle) {
		if s.scope == want {
			found = s
			e.idle = slices.Delete(e.idle, i, i+1)
			break
		}
	}
	if found == nil && len(e.idle) > 0 && len(e.idle)+len(e.tokens) > e.limit {
		oldest = e.idle[0]
		e.idle = slices.Delete(e.idle, 0, 1)
	}
	e.opened++
	number := e.opened
	e.mu.Unlock()

	if oldest != nil {
		oldest.close()
	}
	if found != nil {
		return found, nil
	}
	mark := fmt.Sprintf("session-%d", number)
	s, err := connect(e.lib, append(slices.Clip(e.args), "--log_comment="+mark))
	if err != nil {
		return nil, fmt.Errorf("opening a session: %w", err)
	}
	s.mark, s.scope = mark, want
	if want.database != "" {
		if err := s.exec("USE `" + identifierEscapes.Replace(want.database) + "`"); err != nil {
			s.close()
			return nil, err
		}
	}
	if want.settings != "" {
		if err := s.exec(want.settings); err != nil {
			s.close()
			return nil, err
		}
	}
	return s, nil
}

// release gives a session back. One that a statement has changed is not used again.
func (e *Engine) release(s *session, changed bool) {
	if changed {
		s.close()
	} else {
		e.mu.Lock()
		e.idle = append(e.idle, s)
		e.mu.Unlock()
	}
	<-e.tokens
	e.work.Done()
}

// killUntil asks the engine again and again to stop what the session is running, until that has
// ended: the first time may be too early for the engine to know of the statement.
func (e *Engine) killUntil(ended <-chan struct{}, s *session) {
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		select {
		case <-ended:
			return
		default:
		}
		e.anchorMu.Lock()
		err := e.anchor.exec("KILL QUERY WHERE Settings['log_comment'] = '" + s.mark + "' ASYNC")
		e.anchorMu.Unlock()
		if err != nil {
			e.logger.Warn("stopping the statement of an ended context", slog.Any("error", err))
		}
		select {
		case <-ended:
			return
		case <-time.After(pause):
		}
	}
}

var (
	identifierEscapes = strings.NewReplacer("\\", "\\\\", "`", "\\`")
	stringEscapes     = strings.NewReplacer("\\", "\\\\", "'", "\\'")
)
