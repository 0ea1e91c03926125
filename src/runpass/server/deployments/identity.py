"""Minting for a run: the lease is checked and the audit record committed before the token leaves.

What was read of a run may serve its next mint for a second, but only for a yes, and never for the login of a
credential; `mint_commit` looks at the lease again for every single one.

SECURITY: a token with `credentialId` is minted only for a credential that the run's project may use at this moment,
and only for the runner; the token that the job holds never carries the claim. That is what makes assignment a
boundary: a role that binds `credentialId` refuses the job's own token.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID

from runpass.errors import Conflict, Forbidden, InvalidInput, StaleLease, Unauthenticated
from runpass.ids import RunLeaseId, VaultLoginId
from runpass.observability.metrics import TOKENS_MINTED
from runpass.protocol.identity import ForCredential, IdentityToken, Purpose
from runpass.secret import Secret
from runpass.server.access.bearers import digest
from runpass.server.access.refusals import Refusals
from runpass.server.audit import AuditEvent
from runpass.server.credentials.assignment import credentials_of
from runpass.server.db.engine import Transaction
from runpass.server.deployments.asking import REFUSED, asking
from runpass.server.deployments.audiences import OwnAudiences
from runpass.server.deployments.entitlement import token_for_job, token_for_runner
from runpass.server.deployments.inputs import inputs_of
from runpass.server.deployments.known import Known
from runpass.server.deployments.mint_commit import MAX_TOKENS, Login, Mint, MintCommits, RunChanged, past_limit
from runpass.server.deployments.mint_model import Made, Proof, Question, Run, Token
from runpass.server.deployments.model import Deployment, DeploymentStatus, Lease
from runpass.server.deployments.run_claims import said_of
from runpass.server.deployments.run_leases import Holder, LeaseRules, held
from runpass.server.deployments.together import Together
from runpass.server.deployments.vault_logins import intend
from runpass.server.http.origin import origin
from runpass.server.issuer.minting import Minted, Minter
from runpass.server.runners.model import Runner
from runpass.server.tenancy.store import get_organization, get_project

ON_DEMAND = "on-demand"
"""How the audit trail and the metrics call a token that a job asked for by itself."""
_READINGS = 3
"""Times that a run is looked at for one token: from memory, as it is stored, and again if it was changed meanwhile."""


class Passport:
    """Mints workload identity tokens for runs."""

    def __init__(self, rules: LeaseRules, minter: Minter, *, own: OwnAudiences, lifetime: timedelta) -> None:
        self._rules = rules
        self._minter = minter
        self._own = own
        self._lifetime = lifetime
        self._refusals = Refusals(rules.database, rules.clock)
        self._commits = MintCommits(rules.database, rules.clock)
        self._known: Known[Proof, Run] = Known(rules.clock)
        self._together = Together(self.answers)

    def issue(self, holder: Holder, purpose: Purpose) -> IdentityToken:
        """Give the answer to what `by_runner` asks, or raise it."""
        return _given(self.answers([self.by_runner(holder, purpose)]))

    def issue_on_demand(self, lease_id: RunLeaseId, bearer: Secret, asked: Sequence[str]) -> IdentityToken:
        """Give the answer to what `by_job` asks, or raise it."""
        return _given(self.answers([self.by_job(lease_id, bearer, asked)]))

    async def issue_soon(self, question: Question) -> IdentityToken:
        """Give the answer to a question, or raise it, while the event loop goes on."""
        return await self._together.ask(question)

    def by_runner(self, holder: Holder, purpose: Purpose) -> Question:
        """Ask for a token for this purpose, for the runner that holds the run's lease.

        Refusals: `StaleLease` without a live lease, `Forbidden` for a credential that is not assigned or permitted (any
        more) and for a run that is being ended, `Conflict` past the limit of a run. If the audit record cannot be
        written, there is no token.
        """

        def read() -> Run:
            with self._rules.database.read() as tx:
                lease, deployment = held(tx, holder, self._rules.clock.now(), for_change=False)
                if deployment.status is not DeploymentStatus.IN_PROGRESS:
                    raise Forbidden("this run is being ended: it gets no more tokens")
                return self._run(tx, lease, deployment, holder.runner)

        def wanted(run: Run) -> Token:
            return token_for_runner(run, purpose, self._own.shared)

        def refused(error: Exception) -> Exception:
            if isinstance(error, Forbidden | Conflict):
                self._note(holder.runner, holder.lease_id, purpose.kind, error)
            return error

        # SECURITY: whether a credential is assigned is looked up for each of its tokens.
        proof = None if isinstance(purpose, ForCredential) else _proof_of(holder)
        return Question(proof, read, wanted, refused, purpose.kind)

    def by_job(self, lease_id: RunLeaseId, bearer: Secret, asked: Sequence[str]) -> Question:
        """Ask for a token for the job itself, for the one audience that it names, or for the shared one.

        Refusals: `Unauthenticated` unless the bearer is that of a run that goes on, `InvalidInput` for what is no
        audience, `Forbidden` for one that the run may not have, `Conflict` past the limit of a run.

        SECURITY: never with `credentialId`, whatever the audience.
        """
        asker: Runner | None = None

        def read() -> Run:
            nonlocal asker
            with self._rules.database.read() as tx:
                lease, deployment, asker = asking(tx, lease_id, bearer, self._rules.clock.now())
                return self._run(tx, lease, deployment, asker)

        def wanted(run: Run) -> Token:
            return token_for_job(run, asked, self._own)

        def refused(error: Exception) -> Exception:
            if isinstance(error, StaleLease):
                return Unauthenticated(REFUSED)
            if isinstance(error, Forbidden | Conflict) and asker is not None:
                self._note(asker, lease_id, ON_DEMAND, error)
            return error

        return Question((lease_id, digest(bearer)), read, wanted, refused, ON_DEMAND)

    def answers(self, questions: Sequence[Question]) -> list[IdentityToken | Exception]:
        """Give the answer to each question. All tokens are let go with one commit."""
        found: list[IdentityToken | Exception] = [RunChanged("")] * len(questions)
        open_ones = list(range(len(questions)))
        for reading in range(_READINGS):
            made = [questions[number].context.run(self._made, questions[number], reading) for number in open_ones]
            tokens = self._let_go([questions[number] for number in open_ones], made)
            for number, token in zip(open_ones, tokens, strict=True):
                found[number] = token
            open_ones = [
                number
                for number, item in zip(open_ones, made, strict=True)
                if isinstance(item, Made) and _asks_again(item, found[number])
            ]
        return [
            question.context.run(question.refused, answer) if isinstance(answer, Exception) else answer
            for question, answer in zip(questions, found, strict=True)
        ]

    def _made(self, question: Question, reading: int) -> Made | Exception:
        """Give the token that is asked for, made from what is known of the run, or else from what is stored."""
        known = self._known.find(question.proof) if question.proof and not reading else None
        try:
            if known is not None:
                with suppress(InvalidInput, Forbidden, Conflict):  # a refusal never comes from memory
                    return self._mint(known, question.wanted(known), question.kind, None)
            began = self._known.began()
            run = question.read()
            made = self._mint(run, question.wanted(run), question.kind, began)
        except Exception as error:  # noqa: BLE001 -- it belongs to whoever asked; this thread works for others too
            return error
        if question.proof:
            self._known.keep(question.proof, run, began)
        return made

    def _let_go(
        self, questions: Sequence[Question], made: Sequence[Made | Exception]
    ) -> Iterator[IdentityToken | Exception]:
        mints = [item.mint for item in made if isinstance(item, Made)]
        outcomes = iter(self._commits.commit(mints) if mints else ())
        for question, item in zip(questions, made, strict=True):
            if isinstance(item, Exception):
                yield item
                continue
            outcome = next(outcomes)
            if isinstance(outcome, Exception):
                yield outcome
                continue
            TOKENS_MINTED.labels(question.kind).inc()
            yield item.token.model_copy(update={"login_id": outcome}) if outcome else item.token

    def _run(self, tx: Transaction, lease: Lease, deployment: Deployment, runner: Runner) -> Run:
        organization = get_organization(tx, deployment.organization_id)
        if organization is None:
            raise StaleLease("the organization is gone")
        inputs = inputs_of(tx, self._rules.cipher, deployment)
        only_claims = inputs.model_copy(update={"plan": (), "commands": (), "variables": ()})
        project = get_project(tx, deployment.organization_id, deployment.project_id)
        path = project.path if project else ()
        said = said_of(organization, inputs, deployment.phase, runner)
        return Run(lease, deployment, runner, organization, path, credentials_of(tx, path), only_claims, said)

    def _mint(self, run: Run, wanted: Token, kind: str, began: float | None) -> Made:
        now = self._rules.clock.now()
        if run.lease.tokens_minted >= MAX_TOKENS:
            raise past_limit()
        lifetime = min(self._lifetime, timedelta(seconds=max(run.deployment.timeout_seconds, 1)))
        said = run.said
        if wanted.credential_id is not None:
            said = said_of(run.organization, run.inputs, run.deployment.phase, run.runner, wanted.credential_id)
        # Outside of the transaction: the first token of an organization's own issuer may have to make its key.
        minter = self._minter.of(run.organization.issuer)
        minted = minter.mint_written(said.claims, subject=said.subject, audience=wanted.audience, lifetime=lifetime)
        event = _event(now, run, minted, kind, wanted.credential_id)
        login = _login(run, wanted, minted, now)
        mint = Mint(run.lease, minted, event, origin(), run.organization.updated_at, login)
        token = IdentityToken(
            token=minted.token,
            jti=minted.jti,
            audience=minted.audience,
            expires_at=minted.expires_at,
            issued_at=now,
        )
        return Made(began is None, mint, token)

    def _note(self, runner: Runner, lease_id: RunLeaseId, kind: str, error: Forbidden | Conflict) -> None:
        detail = {"code": error.code, "reason": error.message, "purpose": kind}
        action, subject, organization = "identity_token.refused", str(lease_id), runner.organization_id
        at = self._rules.clock.now()
        event = AuditEvent(at, runner.audit_name, action, "run_lease", subject, organization, detail)
        self._refusals.note_seldom(event, f"{runner.id} {error.code}")


def _login(run: Run, wanted: Token, minted: Minted, now: datetime) -> Login | None:
    """Give the login that a token is for; None for a token of the job."""
    credential = wanted.credential
    if credential is None:
        return None

    def count(tx: Transaction) -> VaultLoginId:
        return intend(tx, run.lease, run.deployment, (credential, minted), now=now)

    return Login(credential.id, run.path, count)


def _proof_of(holder: Holder) -> Proof:
    return holder.runner.id, holder.lease_id, holder.fencing_token, digest(holder.secret)


def _asks_again(made: Made, answer: IdentityToken | Exception) -> bool:
    """Whether a refusal is not the last word: the run was only remembered, or was changed since it was read."""
    refused_from_memory = made.is_remembered and isinstance(answer, Conflict)
    return refused_from_memory or isinstance(answer, RunChanged)


def _given(answers: Sequence[IdentityToken | Exception]) -> IdentityToken:
    (answer,) = answers
    if isinstance(answer, Exception):
        raise answer
    return answer


def _event(at: datetime, run: Run, minted: Minted, kind: str, credential_id: UUID | None) -> AuditEvent:
    detail = {
        "jti": minted.jti,
        "kid": minted.kid,
        "audience": minted.audience,
        "purpose": kind,
        "expiresAt": minted.expires_at.isoformat(),
    }
    if credential_id is not None:
        detail["credentialId"] = str(credential_id)
    subject, organization = str(run.deployment.id), run.deployment.organization_id
    return AuditEvent(at, run.runner.audit_name, "identity_token.minted", "deployment", subject, organization, detail)
