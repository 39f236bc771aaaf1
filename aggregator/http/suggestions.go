package http

import (
	"context"

	"repronet.dev/api"
	"repronet.dev/dashboard"
	"repronet.dev/signing"
)

type suggestionsInput struct {
	Set     string `query:"set" required:"true" maxLength:"200" doc:"The package set."`
	System  string `query:"system" maxLength:"100" doc:"Only outputs for this system." example:"x86_64-linux"`
	Builder string `query:"builder" maxLength:"100" doc:"Who asks: what its operator has built, or failed to build, is left out, and builders who ask at the same time are told of different builds."`
	Limit   int    `query:"limit" minimum:"1" maximum:"1000" default:"20" doc:"At most so many builds."`
}

func (s *Server) suggestions(ctx context.Context, in *suggestionsInput) (*body[*api.Suggestions], error) {
	query := api.SuggestionQuery{Set: in.Set, System: in.System, Limit: in.Limit}
	if in.Builder != "" {
		id, err := signing.ParseBuilderID(in.Builder)
		if err != nil {
			return nil, invalid("Parameter builder: %v.", err)
		}
		query.Builder = id
	}
	found, err := s.parts.Suggestions(ctx, query)
	if err != nil {
		return nil, dashboard.Missing(err, "No package set named %q is published ("+api.SetsPath+" lists them), or no builder %q is enrolled.", in.Set, in.Builder)
	}
	return &body[*api.Suggestions]{found}, nil
}
