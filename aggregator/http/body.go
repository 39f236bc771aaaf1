package http

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/klauspost/compress/zstd"

	"repronet.dev/aggregator/fair"
	"repronet.dev/api"
)

// How fast a body has to come: its sender has Config.BodyGrace, and a second more for each
// bodyRate bytes that came, and bodyLimit in all.
const (
	defaultBodyGrace = 10 * time.Second
	bodyRate         = 16 << 10
	bodyLimit        = time.Minute
	// refusedGrace is how long a body is still taken in, unread, after it was refused: a
	// sender that is cut off at once may not see the answer.
	refusedGrace = 5 * time.Second
	// queuePatience is how long a body that is there waits for its turn.
	queuePatience = 10 * time.Second
	// firstPiece is what is reserved for a body before anything of it came, in bytes.
	firstPiece = 4 << 10
	// perLine is what is reserved for each line of a request, beside its bytes.
	perLine = 4 << 10
)

// memory is the memory for submissions, in bytes: half of it for bodies that come in, as
// they came, and half for those that are there, unpacked. So no pace at which bodies come
// holds up those that are there.
type memory struct {
	receiving, working *fair.Pool
	// unpacking has places for those that are unpacked at a time.
	unpacking *fair.Pool
}

// smallBody is a body for which a quarter of the memory is spared.
const smallBody = 2 << 20

func newMemory(size int64, processors int) memory {
	part := fair.Config{Capacity: size / 2, Share: max(size/8, 2*api.MaxRequestSize), Spare: size / 8, Small: smallBody}
	return memory{fair.NewPool(part), fair.NewPool(part), fair.NewPool(fair.Config{Capacity: int64(processors)})}
}

// reservation is the part of a pool that one request holds.
type reservation struct {
	of   *fair.Pool
	who  string
	size int64
}

// grow takes n more, if they are there.
func (r *reservation) grow(n int) bool {
	ok := r.of.Try(r.who, r.size, int64(n))
	if ok {
		r.size += int64(n)
	}
	return ok
}

// wait takes n more when it is the party's turn.
func (r *reservation) wait(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, queuePatience)
	defer cancel()
	if err := r.of.Acquire(ctx, r.who, int64(n), float64(n)); err != nil {
		return errBusy
	}
	r.size += int64(n)
	return nil
}

// shrink gives back all but n.
func (r *reservation) shrink(n int) {
	if more := r.size - int64(n); more > 0 {
		r.of.Release(r.who, more)
		r.size = int64(n)
	}
}

func (r *reservation) release() { r.shrink(0) }

var (
	errBusy     = errors.New("too many requests at once")
	errTooLarge = errors.New("too large")
	errEncoding = errors.New("unknown content encoding")
	errRatio    = errors.New("compressed too well")
)

// bounds are those of a body of one kind.
type bounds struct {
	size int    // in bytes, as it comes and unpacked
	what string // such requests are
	many string // what there can be too many of in one
}

// ofBundles are the bounds of a submission.
var ofBundles = bounds{api.MaxRequestSize, "submissions", "bundles"}

// readBody returns the request's body, unpacked, within its bounds. What it takes of memory
// is held until the reservation is released.
func (s *Server) readBody(c *gin.Context, who string, within bounds) (body []byte, held *reservation, err error) {
	received := &reservation{of: s.memory.receiving, who: who}
	defer received.release()
	held = &reservation{of: s.memory.working, who: who}
	encoding := c.GetHeader("Content-Encoding")
	if !encodings(encoding) {
		err = errEncoding
	} else if body, err = receive(c, s.config.BodyGrace, within.size, received); err == nil {
		body, err = s.unpack(c.Request.Context(), encoding, body, within.size, held)
	}
	if err != nil {
		held.release()
		turnAway(c)
		return nil, nil, bodyProblem(err, encoding, within)
	}
	return body, held, nil
}

// turnAway bounds how long the rest of a body may come that nothing reads any more.
func turnAway(c *gin.Context) {
	_ = http.NewResponseController(c.Writer).SetReadDeadline(time.Now().Add(refusedGrace)) // a test may have no connection
}

// bodyProblem says what is wrong with a body.
func bodyProblem(err error, encoding string, within bounds) error {
	_, tooLarge := errors.AsType[*http.MaxBytesError](err)
	switch {
	case errors.Is(err, errEncoding):
		return api.NewProblem(api.ProblemMediaType, fmt.Sprintf("Content-Encoding %.40q is neither gzip nor zstd.", encoding))
	case errors.Is(err, errBusy):
		return api.NewProblem(api.ProblemTryLater, "Too many "+within.what+" at once: send this one again later.")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return api.NewProblem(api.ProblemTooSlow, "The request did not arrive in time: send fewer "+within.many+" at once.")
	case errors.Is(err, errRatio):
		return api.NewProblem(api.ProblemTooLarge, fmt.Sprintf("The body unpacks to more than %d times its size: send it without compression.", maxRatio))
	case tooLarge, errors.Is(err, errTooLarge), errors.Is(err, zstd.ErrDecoderSizeExceeded), errors.Is(err, zstd.ErrWindowSizeExceeded):
		return api.NewProblem(api.ProblemTooLarge, fmt.Sprintf("The request is larger than %d bytes after decompression: send fewer %s at once.", within.size, within.many))
	case encoding != "" && !errors.Is(err, errEmpty):
		return api.NewProblem(api.ProblemMalformed, fmt.Sprintf("The body cannot be read as %s: %v.", encoding, err))
	case !errors.Is(err, errEmpty):
		return api.NewProblem(api.ProblemMalformed, fmt.Sprintf("The body cannot be read: %v.", err))
	}
	return api.NewProblem(api.ProblemMalformed, "The body is empty: send what the address is for.")
}

var errEmpty = errors.New("empty")

// checkMedia reports a Content-Type that is none of those that are taken.
func checkMedia(c *gin.Context, advice string, taken ...string) (media string, err error) {
	media, _, err = mime.ParseMediaType(c.GetHeader("Content-Type"))
	if err != nil || !slices.Contains(taken, media) {
		return "", api.NewProblem(api.ProblemMediaType, "Content-Type must be "+advice+".")
	}
	return media, nil
}

// receive reads up to limit bytes of a body as they come, as long as they come
// fast enough. It reserves memory as the bytes come in, so that a slow sender holds little.
func receive(c *gin.Context, grace time.Duration, limit int, reserved *reservation) ([]byte, error) {
	control, began := http.NewResponseController(c.Writer), time.Now()
	reader := http.MaxBytesReader(c.Writer, c.Request.Body, int64(limit))
	body, err := readAll(reader, limit, reserved.grow, func(n int) {
		_ = control.SetReadDeadline(began.Add(min(bodyLimit, grace+time.Duration(n)*time.Second/bodyRate))) // a test may have no connection
	})
	if err != nil {
		return nil, err
	}
	// The server goes on reading, to notice when the client leaves: that has no end.
	_ = control.SetReadDeadline(time.Time{})
	if len(body) == 0 {
		return nil, errEmpty
	}
	return body, nil
}

// readAll reads up to limit bytes; one more is errTooLarge. Before memory is used, grow
// has to find it, and before each read, pace is told how much there is.
func readAll(reader io.Reader, limit int, grow func(n int) bool, pace func(n int)) ([]byte, error) {
	var body []byte
	for {
		if len(body) == cap(body) {
			if len(body) > limit {
				return nil, errTooLarge
			}
			size := min(max(firstPiece, 2*cap(body)), limit+1)
			if !grow(size - cap(body)) {
				return nil, errBusy
			}
			body = append(make([]byte, 0, size), body...)
		}
		pace(len(body))
		n, err := reader.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if errors.Is(err, io.EOF) {
			return body, nil
		}
		if err != nil {
			return nil, err
		}
	}
}
