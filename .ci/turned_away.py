"""A check for schemathesis: without a token, every request is turned away."""
import schemathesis

# Besides 401: too many wrong tokens, and what is refused before anybody looks at who asks.
TURNED_AWAY = {400, 401, 414, 429, 431}


@schemathesis.check
def turned_away(ctx, response, case):
    assert response.status_code in TURNED_AWAY, response.status_code
