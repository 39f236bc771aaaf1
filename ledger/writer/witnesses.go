package writer

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/transparency-dev/tessera"

	"repronet.dev/internal/redirects"
)

const (
	// witnessPatience is how long a checkpoint waits for its witnesses. It is
	// published without their cosignatures then: what readers demand is for
	// readers to say, and an entry that was acknowledged must get its receipt.
	witnessPatience = 2 * time.Second
	// republishInterval is how often a log that does not grow asks its witnesses
	// again: for cosignatures that were missed, and for a newer time.
	republishInterval = time.Minute
	// maxWitnessAnswer bounds what a witness may answer, in bytes.
	maxWitnessAnswer = 16 << 10
)

// withWitnesses has each checkpoint cosigned.
func withWitnesses(options *tessera.AppendOptions, policy []byte) (*tessera.AppendOptions, error) {
	group, err := tessera.NewWitnessGroupFromPolicy(policy)
	if err != nil {
		return nil, fmt.Errorf("reading witnesses: %w", err)
	}
	return options.
		WithWitnesses(group, &tessera.WitnessOptions{Timeout: witnessPatience, FailOpen: true}).
		WithCheckpointRepublishInterval(republishInterval), nil
}

// witnessClient is what witnesses are asked with: Tessera reads all that they
// answer.
func witnessClient() *http.Client {
	return &http.Client{
		Transport: bounded{http.DefaultTransport}, Timeout: witnessPatience,
		CheckRedirect: redirects.None,
	}
}

// bounded bounds the answers.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.next.RoundTrip(r)
	if err == nil {
		response.Body = &boundedBody{response.Body, maxWitnessAnswer}
	}
	return response, err
}

type boundedBody struct {
	io.ReadCloser
	left int
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errors.New("the witness's answer is too large")
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
