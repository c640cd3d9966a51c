package service

import (
	"context"
	"time"
)

// AddStoreRPC opens the service's store and serves gRPC in front of it: OpenDB, then AddRPC at port, ready while the store is.
func (s *Service) AddStoreRPC(ctx context.Context, port string) (*RPCServer, *DB, error) {
	db, err := s.OpenDB()
	if err != nil {
		return nil, nil, err
	}
	rpc, err := s.AddRPC(ctx, port, db.Ready)
	return rpc, db, err
}

// AddCachedRPC is AddStoreRPC with a cache over the store whose entries live for ttl. Without its cache the service is ready.
func (s *Service) AddCachedRPC(ctx context.Context, port string, ttl time.Duration) (*RPCServer, *DB, *Cache, error) {
	cache, err := s.OpenCache(ttl)
	if err != nil {
		return nil, nil, nil, err
	}
	rpc, db, err := s.AddStoreRPC(ctx, port)
	return rpc, db, cache, err
}
