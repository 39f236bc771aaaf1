package chdb

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
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

// kill asks the engine to end what the session is running. It returns before that has ended.
func (e *Engine) kill(s *session) {
	e.anchorMu.Lock()
	defer e.anchorMu.Unlock()
	if err := e.anchor.exec("KILL QUERY WHERE Settings['log_comment'] = '" + s.mark + "' ASYNC"); err != nil {
		e.logger.Warn("statement of an ended context goes on", slog.Any("error", err))
	}
}

var (
	identifierEscapes = strings.NewReplacer("\\", "\\\\", "`", "\\`")
	stringEscapes     = strings.NewReplacer("\\", "\\\\", "'", "\\'")
)
