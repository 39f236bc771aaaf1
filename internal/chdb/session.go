package chdb

import (
	"errors"
	"runtime"
	"unsafe"
)

// appendSize is how much of an INSERT's body is handed to the engine at a time.
const appendSize = 1 << 20

// session is one connection to the engine. It runs one statement at a time; several sessions run
// in parallel. A session is not safe for concurrent use: the pool gives it to one execution.
type session struct {
	lib    *library
	handle unsafe.Pointer // chdb_connection *, closed by close
	conn   unsafe.Pointer // chdb_connection, what every other call takes
	mark   string         // log_comment of its statements
	scope  scope          // what it is set to
}

// connect opens one more connection with the given --name=value arguments.
func connect(lib *library, args []string) (*session, error) {
	argv := make([]unsafe.Pointer, len(args)+1)
	var pin runtime.Pinner
	defer pin.Unpin()
	for i, arg := range args {
		text := append([]byte(arg), 0)
		pin.Pin(&text[0])
		argv[i] = unsafe.Pointer(&text[0])
	}
	handle := lib.connect(int32(len(args)), &argv[0])
	if handle == nil {
		return nil, errors.New("the engine refused the connection")
	}
	return &session{lib: lib, handle: handle, conn: *(*unsafe.Pointer)(handle)}, nil
}

func (s *session) close() {
	s.lib.closeConn(s.handle)
}

// query runs a statement to its end and returns its whole result.
func (s *session) query(sql, format string, params []param) ([]byte, error) {
	p := bind(params)
	defer p.unpin()
	result := s.lib.query(s.conn, unsafe.StringData(sql), uintptr(len(sql)), unsafe.StringData(format), uintptr(len(format)),
		unsafe.SliceData(p.names), unsafe.SliceData(p.nameLens), unsafe.SliceData(p.values), unsafe.SliceData(p.valueLens), uintptr(len(p.names)))
	return s.take(result)
}

// exec runs a statement for its effect.
func (s *session) exec(sql string) error {
	_, err := s.query(sql, "Null", nil)
	return err
}

// stream starts a SELECT. next returns its result piece by piece and nothing at its end; stop
// ends it, early or not, and has to be called.
func (s *session) stream(sql, format string, params []param) (next func() ([]byte, error), stop func(), err error) {
	p := bind(params)
	defer p.unpin()
	stream := s.lib.streamQuery(s.conn, unsafe.StringData(sql), uintptr(len(sql)), unsafe.StringData(format), uintptr(len(format)),
		unsafe.SliceData(p.names), unsafe.SliceData(p.nameLens), unsafe.SliceData(p.values), unsafe.SliceData(p.valueLens), uintptr(len(p.names)))
	if stream == nil {
		return nil, nil, errors.New("the engine gave no result")
	}
	if message := s.lib.resultError(stream); message != "" {
		s.lib.resultDestroy(stream)
		return nil, nil, newException(message)
	}
	next = func() ([]byte, error) { return s.take(s.lib.streamFetch(s.conn, stream)) }
	stop = func() {
		s.lib.streamStop(s.conn, stream)
		s.lib.resultDestroy(stream)
	}
	return next, stop, nil
}

// insert runs an INSERT (without its FORMAT clause) over a body in the given format.
func (s *session) insert(sql, format string, body []byte) error {
	stream := s.lib.insert(s.conn, unsafe.StringData(sql), uintptr(len(sql)), unsafe.StringData(format), uintptr(len(format)))
	if stream == nil {
		return errors.New("the engine gave no insert stream")
	}
	defer s.lib.insertDestroy(stream)
	if message := s.lib.insertError(stream); message != "" {
		return newException(message)
	}
	for len(body) > 0 {
		n := min(len(body), appendSize)
		if s.lib.insertAppend(stream, &body[0], uintptr(n)) != 0 {
			if message := s.lib.insertError(stream); message != "" {
				return newException(message)
			}
			break
		}
		body = body[n:]
	}
	_, err := s.take(s.lib.insertDone(stream))
	return err
}

// take copies a result out of the engine's memory and frees it.
func (s *session) take(result unsafe.Pointer) ([]byte, error) {
	if result == nil {
		return nil, errors.New("the engine gave no result")
	}
	defer s.lib.resultDestroy(result)
	if message := s.lib.resultError(result); message != "" {
		return nil, newException(message)
	}
	n := s.lib.resultLength(result)
	if n == 0 {
		return nil, nil
	}
	data := make([]byte, n)
	copy(data, unsafe.Slice((*byte)(s.lib.resultBuffer(result)), n))
	return data, nil
}

// classify parses a statement without running it. It says how many statements there are and
// what the most far-reaching of them does.
func (s *session) classify(sql string) (statements int, class queryClass) {
	out := analysis{structSize: uint32(unsafe.Sizeof(analysis{}))}
	if s.lib.classify(s.conn, unsafe.StringData(sql), uintptr(len(sql)), nil, 0, &out) != 0 {
		return 0, classUnknown
	}
	return int(out.statementCount), queryClass(out.class)
}

// param is a query parameter: {name:Type} in the statement.
type param struct{ name, value string }

// boundParams is the C form of query parameters. The pointers in it are pinned until unpin.
type boundParams struct {
	names, values       []*byte
	nameLens, valueLens []uintptr
	runtime.Pinner
}

func bind(params []param) *boundParams {
	bound := &boundParams{}
	add := func(to []*byte, lens []uintptr, text string) ([]*byte, []uintptr) {
		data := append([]byte(text), 0)
		bound.Pin(&data[0])
		return append(to, &data[0]), append(lens, uintptr(len(text)))
	}
	for _, p := range params {
		bound.names, bound.nameLens = add(bound.names, bound.nameLens, p.name)
		bound.values, bound.valueLens = add(bound.values, bound.valueLens, p.value)
	}
	return bound
}

func (b *boundParams) unpin() { b.Unpin() }
