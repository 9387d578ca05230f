"""What happens: events decided, performed and committed; the only room that sees both definitions and stores."""
