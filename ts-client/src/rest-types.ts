// The REST bodies about models, narrators and controllers: the generated types, read-only.
import type { Frozen } from './frozen.js'
import type * as wire from './generated/protocol.js'

/** The response of `GET /models`: the default's name, and every model. */
export type ModelList = Frozen<wire.ModelList>

/** One model: its name, what runs it, whether it is allowed, and whether it is available. */
export type Model = Frozen<wire.Model>

/** The relay has accepted a message, and has answered it unless `respondAsync` was set. */
export type NarratorAccepted = Frozen<wire.NarratorAccepted>

/** A workspace's feed, the newest entry first. */
export type NarratorFeed = Frozen<wire.NarratorFeed>

/** One entry of a feed. */
export type FeedEvent = Frozen<wire.FeedEvent>

/** The type of an entry; a `narration` of the source `user` is a message to the narrator. */
export type FeedEventType = wire.FeedEventType

/** How much an entry matters. */
export type FeedSeverity = wire.FeedSeverity

/** Asks for the lease of an agent. */
export type ControllerRegistration = Frozen<wire.ControllerRegistration>

/** A lease: its id, the token that identifies its holder, and when it ends. */
export type ControllerLease = Frozen<wire.ControllerLease>

/** A renewed lease: when it ends now. */
export type ControllerKeptAlive = Frozen<wire.ControllerKeptAlive>

/** An event that a controller may publish; it becomes the chat event of the same type. */
export type ControllerEvent = Frozen<wire.ControllerEvent>

/** Where the published events are in the conversation's log. */
export type ControllerPublished = Frozen<wire.ControllerPublished>
